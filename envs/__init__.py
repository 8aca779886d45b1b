"""The bundled systems: equations, certified safe sets, Brax environments and their registration."""

if __name__ != "safe_wrappers.envs":
    raise ImportError(
        f"Import this package as `safe_wrappers.envs`, not as `{__name__}`: a second "
        "copy of its classes would not be equal to the first."
    )

from ._assets import certificate_names as certificate_names
from ._assets import certificate_of as certificate_of
from ._assets import parameters_of as parameters_of
from ._certified_env import CertifiedEnv as CertifiedEnv
from ._claim_env import ClaimEnv as ClaimEnv
from ._gym_entry_points import SafeGymEnv as SafeGymEnv
from ._gym_entry_points import SafeGymVectorEnv as SafeGymVectorEnv
from ._model_env import ModelEnv as ModelEnv
from ._model_env import joint_state as joint_state
from ._registration import get_environment as get_environment
from ._registration import get_model as get_model
from ._registration import load_certificate as load_certificate
from ._registration import register as register
from ._registration import registered_name as registered_name
from ._registration import registered_names as registered_names
from ._registration import variant_of as variant_of
from .arm import SafeArm as SafeArm
from .arm_dynamics import planar_arm as planar_arm
from .cart_pole import SafeCartPole as SafeCartPole
from .pendulum import SafePendulum as SafePendulum
from .quadrotor import SafeQuadrotor as SafeQuadrotor
from .quadrotor_3d import SafeQuadrotor3D as SafeQuadrotor3D
from .seeker import SafeSeeker as SafeSeeker

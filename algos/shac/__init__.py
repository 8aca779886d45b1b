"""SHAC: short-horizon actor-critic with gradients through the environment and its safeguard (Xu et
al. 2022, arXiv 2204.07137).
"""

from . import checkpoint as checkpoint
from .networks import SHACNetworks as SHACNetworks
from .networks import SHACPolicy as SHACPolicy
from .networks import make_inference_fn as make_inference_fn
from .networks import make_shac_networks as make_shac_networks
from .result import Trained as Trained
from .result import TrainedMany as TrainedMany
from .result import TrainingHint as TrainingHint
from .settings import settings as settings
from .train import train as train
from .train_many import train_many as train_many
from .tuned import OWN_PLANT as OWN_PLANT
from .tuned import TUNED as TUNED

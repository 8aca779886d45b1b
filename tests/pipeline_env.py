"""A small third-party environment with Brax's physics, which compiles quickly: a damped arm about a
vertical axis, and a target drawn at each reset.
"""

import functools
import warnings

import jax
import jax.numpy as jnp
from brax import envs
from brax.io import mjcf

import safe_wrappers as sw
from safe_wrappers.certificates import Claim

DT, GEAR, DAMPING = 0.02, 3.0, 0.1
XML = f"""
<mujoco>
  <option timestep="{DT}"/>
  <default><geom contype="0" conaffinity="0" mass="1" size="0.05"/></default>
  <worldbody>
    <body name="arm">
      <joint name="hinge" type="hinge" axis="0 0 1" damping="{DAMPING}"/>
      <geom type="capsule" fromto="0 0 0 0.5 0 0"/>
    </body>
    <body name="target" pos="0 0 1">
      <joint name="slide" type="slide" axis="1 0 0"/>
      <geom type="sphere"/>
    </body>
  </worldbody>
  <actuator><motor joint="hinge" gear="{GEAR}"/></actuator>
</mujoco>
"""


class Arm(envs.PipelineEnv):
    """q = (angle, target), both drawn from [-1, 1]; the observation is the angle, its velocity and
    the target.
    """

    def __init__(self, backend="generalized"):
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="Brax System, piplines and environments are not actively"
            )
            sys = mjcf.loads(XML)
        super().__init__(sys, backend=backend, n_frames=2)

    def reset(self, rng):
        pipeline_state = self.pipeline_init(
            jax.random.uniform(rng, (2,), minval=-1.0), jnp.zeros(2)
        )
        return envs.State(
            pipeline_state,
            self._observe(pipeline_state),
            jnp.zeros(()),
            jnp.zeros(()),
            {"mine": jnp.zeros(())},
        )

    def step(self, state, action):
        pipeline_state = self.pipeline_step(state.pipeline_state, action)
        state.metrics.update(mine=jnp.sum(action))  # as Brax's reacher does
        return state.replace(
            pipeline_state=pipeline_state, obs=self._observe(pipeline_state), reward=1.0
        )

    def _observe(self, pipeline_state):
        return jnp.array([pipeline_state.q[0], pipeline_state.qd[0], pipeline_state.q[1]])


REGION = sw.Box.symmetric([0.6, 2.0])
# Speeds from which the arm stops in time: |th + 0.22 thd| <= 0.6 and |thd| <= 2.
STOPPING = sw.Polytope(
    [[1.0, 0.0], [-1.0, 0.0], [1.0, 0.22], [-1.0, -0.22], [0.0, 1.0], [0.0, -1.0]],
    [0.6, 0.6, 0.6, 0.6, 2.0, 2.0],
)


@functools.cache
def arm_plant():
    """The arm alone: the target does not matter for it."""
    return sw.BraxPlant(Arm(), q=[0], qd=[0])


@functools.cache
def arm_surrogate():
    return sw.fit_surrogate(arm_plant().model, REGION, jax.random.PRNGKey(0), degree=1)


@functools.cache
def arm_system():
    surrogate = arm_surrogate()
    claim = Claim(
        surrogate.model,
        safe_state_set=STOPPING,
        constraint_set=REGION,
        disturbance_set=surrogate.disturbance_set,
    )
    return sw.ModelSystem(claim, state=arm_plant().state)


def safe_arm():
    """The arm behind a safeguard, started in the safe set."""
    plant = arm_plant()
    return sw.SafeguardWrapper(
        plant.env, sw.BoundaryProjection(), system=arm_system(), reset_to=plant.reset_to
    )

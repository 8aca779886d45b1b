"""Small MuJoCo models, and an environment of Gymnasium around any of them."""

import numpy as np
from gymnasium import spaces
from gymnasium.envs.mujoco import MujocoEnv

HEAD = '<mujoco><option timestep="0.01"/><default><geom mass="1" size="0.05"/></default>'
# A pendulum on a cart: the pole's angle and both velocities matter for the cart, its place does
# not, until it reaches the end of its rail.
CART_POLE = f"""{HEAD}
  <worldbody><body>
    <joint name="rail" type="slide" axis="1 0 0" limited="true" range="-1 1"/>
    <geom type="sphere" contype="0" conaffinity="0"/>
    <body>
      <joint name="pole" type="hinge" axis="0 1 0"/>
      <geom type="capsule" fromto="0 0 0 0 0 0.5" contype="0" conaffinity="0"/>
    </body>
  </body></worldbody>
  <actuator><motor joint="rail" gear="10" ctrllimited="true" ctrlrange="-2 2"/></actuator>
</mujoco>"""
# Two arms about one vertical axis each: nothing in one of them matters for the other.
TWO_ARMS = f"""{HEAD}
  <worldbody>
    <body><joint name="left" type="hinge" axis="0 0 1"/><geom type="sphere" pos="0.3 0 0"/></body>
    <body pos="5 0 0"><joint name="right" type="hinge" axis="0 0 1"/>
      <geom type="sphere" pos="0.3 0 0"/></body>
  </worldbody>
  <actuator><motor joint="left"/><motor joint="right"/></actuator>
</mujoco>"""
BALL = f"""{HEAD}
  <worldbody><body>
    <joint name="shoulder" type="ball"/><geom type="sphere" pos="0.3 0 0"/>
  </body></worldbody>
  <actuator><motor joint="shoulder" gear="1 0 0" ctrllimited="true" ctrlrange="-1 1"/></actuator>
</mujoco>"""
# The motor's force follows the control with a delay: it is a state of its own.
SLOW_MOTOR = f"""{HEAD}
  <worldbody><body>
    <joint name="arm" type="hinge" axis="0 0 1"/><geom type="sphere" pos="0.3 0 0"/>
  </body></worldbody>
  <actuator><general joint="arm" dyntype="filter" dynprm="0.1" ctrllimited="true"
    ctrlrange="-1 1"/></actuator>
</mujoco>"""
# A ball that may fall onto the ground, from 0.5 m.
FALLING = f"""{HEAD}
  <worldbody><geom name="ground" type="plane" size="1 1 1"/>
    <body name="ball" pos="0 0 0.5">
      <joint name="height" type="slide" axis="0 0 1"/><geom type="sphere"/></body>
  </worldbody>
  <actuator><motor joint="height" ctrllimited="true" ctrlrange="-1 1"/></actuator>
</mujoco>"""


class Mujoco(MujocoEnv):
    """Observes (qpos, qvel), two frames per action."""

    metadata = {"render_modes": ["human", "rgb_array", "depth_array", "rgbd_tuple"]}  # noqa: RUF012

    def __init__(self, folder, xml):
        path = folder / "model.xml"
        path.write_text(xml)
        super().__init__(str(path), 2, observation_space=None)
        size = self.model.nq + self.model.nv
        self.observation_space = spaces.Box(-np.inf, np.inf, (size,), np.float64)

    def step(self, action):
        self.do_simulation(action, self.frame_skip)
        return self._get_obs(), 0.0, False, False, {}

    def reset_model(self):
        self.set_state(self.init_qpos, 0.1 * self.np_random.standard_normal(self.model.nv))
        return self._get_obs()

    def _get_obs(self):
        return self.state_vector()

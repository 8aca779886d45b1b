"""The equations of motion that are written out, against those that MuJoCo computes."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from safe_wrappers.simulators._rigid_bodies import RigidBodies

# Joints of both kinds about any axis, two on one body, branches, anchors and rests away from 0,
# a body without a joint, and a second tree.
TREE = """
<mujoco>
  <option gravity="0.3 -1.2 -9.81"/>
  <compiler angle="radian"/>
  <worldbody>
    <body pos="0.1 0.2 0.3" quat="0.9 0.1 -0.3 0.2">
      <joint name="a" type="hinge" axis="1 2 -1" pos="0.05 -0.1 0.2" ref="0.4"/>
      <joint name="b" type="slide" axis="0 1 1" ref="-0.2"/>
      <geom type="box" size="0.1 0.2 0.3" pos="0.2 0.1 0" mass="2"/>
      <body pos="0.3 0 0.1" euler="0.4 0.2 -0.6">
        <geom type="capsule" size="0.05" fromto="0 0 0 0.4 0.1 0" mass="1.5"/>
        <body pos="0.4 0.1 0" quat="0.7 0 0.7 0.1">
          <joint name="c" type="hinge" axis="0 0 -1" pos="0 0.1 0"/>
          <geom type="box" size="0.05 0.1 0.2" pos="0 0.3 0.1" mass="0.7"/>
        </body>
      </body>
      <body pos="-0.2 0.1 0">
        <joint name="d" type="slide" axis="1 0 0"/>
        <geom type="sphere" size="0.1" mass="0.4"/>
      </body>
    </body>
    <body pos="2 0 0">
      <joint name="e" type="hinge" axis="0 1 0"/>
      <geom type="capsule" size="0.05" fromto="0 0 0 0 0 0.5" mass="1"/>
    </body>
  </worldbody>
</mujoco>
"""
PLANAR = """
<mujoco>
  <option gravity="0 0 -9.81"/>
  <worldbody>
    <body>
      <joint type="hinge" axis="0 0 1"/>
      <geom type="capsule" size="0.05" fromto="0 0 0 0.5 0 0" mass="1"/>
      <body pos="0.5 0 0">
        <joint type="hinge" axis="0 0 1"/>
        <geom type="capsule" size="0.05" fromto="0 0 0 0.5 0 0" mass="1"/>
      </body>
    </body>
  </worldbody>
</mujoco>
"""


def mujocos_own(model, q, speed):
    """M and c of MuJoCo."""
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = q, speed
    mujoco.mj_forward(model, data)
    matrix = np.zeros((model.nv, model.nv))
    mujoco.mj_fullM(model, data, matrix)
    return matrix, data.qfrc_bias.copy()


@pytest.mark.parametrize("xml", [TREE, PLANAR], ids=["tree", "planar arm"])
def test_they_are_those_of_mujoco(xml):
    model = mujoco.MjModel.from_xml_string(xml)
    bodies, rng = RigidBodies(model, list(range(model.nv))), np.random.default_rng(0)
    with jax.enable_x64():
        equations = jax.jit(lambda q, speed: (bodies.mass_matrix(q), bodies.bias(q, speed)))
        for _ in range(20):
            q, speed = rng.uniform(-2, 2, model.nq), rng.uniform(-3, 3, model.nv)
            for found, wanted in zip(
                equations(q, speed), mujocos_own(model, q, speed), strict=True
            ):
                np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


def test_a_tree_can_be_taken_by_itself():
    model = mujoco.MjModel.from_xml_string(TREE)
    q, speed = np.linspace(-1, 1, 5), np.linspace(2, -1, 5)
    matrix, bias = mujocos_own(model, q, speed)
    with jax.enable_x64():
        bodies, angle, rate = RigidBodies(model, [4]), jnp.asarray(q[4:]), jnp.asarray(speed[4:])
        np.testing.assert_allclose(bodies.mass_matrix(angle), matrix[4:, 4:], atol=1e-12)
        np.testing.assert_allclose(bodies.bias(angle, rate), bias[4:], atol=1e-12)


def test_the_first_angle_of_a_planar_arm_does_not_enter():
    """Not even by rounding: a proof sees on the program what a person would say."""
    bodies = RigidBodies(mujoco.MjModel.from_xml_string(PLANAR), [0, 1])
    q, speed = jnp.array([0.3, 0.7]), jnp.array([1.0, -2.0])
    np.testing.assert_array_equal(jax.jacfwd(bodies.mass_matrix)(q)[..., 0], 0.0)
    np.testing.assert_array_equal(jax.jacfwd(bodies.bias)(q, speed)[:, 0], 0.0)

"""Adaptive cruise control: from equations in metres and seconds to a controller in NumPy alone.

The lead car drives 18 to 24 m/s, as it likes. The gap must never be less than 5 m + 0.5 s * speed.

python examples/08_cruise_control.py [--quick]
"""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np

import safe_wrappers as sw

QUICK, DT, FOLDER = "--quick" in sys.argv, 0.1, "cruise_control"
DRIVE = """
import sys; sys.path.insert(0, sys.argv[1])
import numpy as np  # and nothing else
from controller import Watchdog, load
controller, states = load(), [np.array([40.0, 24.0])]
watchdog = Watchdog(controller)
for step in range(600):
    observation, output = watchdog.observe(states[-1]), controller(states[-1])
    assert output.inside and observation.explained
    watchdog.executed(output.action)  # m/s^2
    lead, speed = (18.0 if step // 75 % 2 else 24.0), states[-1][1] + 0.1 * output.action[0]
    states.append(np.array([states[-1][0] + 0.1 * (lead - speed), speed]))
np.savetxt(sys.argv[1] + "/drive.txt", states)
"""


def step(x, acceleration, lead_speed):
    """The next gap and speed."""
    speed = x[1] + DT * acceleration[0]
    return jnp.stack([x[0] + DT * (lead_speed[0] - speed), speed])


class CruiseControl(sw.envs.CertifiedEnv):
    """Follow at a gap of 12 m, which is too close at any speed above 14 m/s."""

    observation_size = 2

    def observe(self, x, info):
        return x

    def reward(self, x, action, info):
        return -0.01 * (x[0] - 12.0) ** 2 - 0.05 * action[0] ** 2


model = sw.Model("acc", step, 2, 1, 1, {"dt": DT}, action_box=sw.Box([-4.0], [2.0]))
headway = sw.Polytope([[-1, 0.5], [1, 0], [0, -1], [0, 1]], [-5, 100, 0, 35])
effort = {"facets": 8, "seeds": 1, "disturbance_scales": (1.5,)} if QUICK else {}
lead = sw.Box([18.0], [24.0])
certificate = sw.certify(model, constraints=headway, disturbances=lead, **effort)
env = CruiseControl(certificate, disturbance="worst_case")
guarded = sw.SafeguardWrapper(env, sw.BoundaryProjection())
make_policy, params, metrics = sw.algos.shac.train(guarded, 2_000 if QUICK else 50_000, 200)
print(f"{env.guarantee.status}; exits in training: {metrics['training/violations']}")
policy = make_policy(params, deterministic=True)
sw.export_controller(FOLDER, env.system, guarded.safeguard, policy=policy, observe=env.observe)
subprocess.run([sys.executable, "-I", "-c", DRIVE, FOLDER], check=True)
states = np.loadtxt(f"{FOLDER}/drive.txt")
print("smallest gap beyond the headway:", np.min(states @ [1, -0.5] - 5), "m")
ax = certificate.claim.safe_state_set.plot()
ax.plot(*states.T, ".-", markersize=3)
ax.set(xlabel="gap (m)", ylabel="speed (m/s)")
ax.figure.savefig(f"{FOLDER}/drive.png")

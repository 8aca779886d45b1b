"""Adaptive cruise control: from equations in metres and seconds to a controller in NumPy alone.

The lead car drives 18 to 24 m/s, as it likes. The gap must never be less than 5 m + 0.5 s * speed.

python examples/08_cruise_control.py [--quick]
"""

import pathlib
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt

import safe_wrappers as sw

QUICK, DT, FOLDER = "--quick" in sys.argv, 0.1, pathlib.Path("runs/cruise_control")
DRIVE = """
import sys; sys.path.insert(0, sys.argv[1])  # this process has NumPy and nothing else
import numpy as np
from controller import Watchdog, load
controller, x, states = load(), np.array([40.0, 24.0]), []
watchdog = Watchdog(controller)
for step in range(600):
    observation, output = watchdog.observe(x), controller(x)
    assert output.inside and observation.explained
    watchdog.executed(output.action)
    lead = 24.0 if step // 75 % 2 == 0 else 18.0  # m/s: it brakes as if it hit something
    speed = x[1] + 0.1 * output.action[0]
    states.append(x)
    x = np.array([x[0] + 0.1 * (lead - speed), speed])
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
        return (x - jnp.array([40.0, 21.0])) / jnp.array([20.0, 5.0])

    def reward(self, x, action, info):
        return -0.01 * (x[0] - 12.0) ** 2 - 0.05 * action[0] ** 2


def main():
    """Proves, trains, exports, and drives in another process."""
    model = sw.Model(
        "cruise_control", step, disturbance_size=1, parameters={"dt": DT},
        action_box=sw.Box([-4.0], [2.0]), state_names=("gap", "speed"),
        action_names=("acceleration",),
        units={"gap": "m", "speed": "m/s", "acceleration": "m/s^2"},
    )  # fmt: skip
    headway = sw.Polytope([[-1.0, 0.5], [1, 0], [0, -1], [0, 1]], [-5.0, 100, 0, 35])
    certificate = sw.certify(model, constraints=headway, disturbances=sw.Box([18.0], [24.0]))
    env = CruiseControl(certificate, disturbance="worst_case")
    safeguard = sw.BoundaryProjection()
    make_policy, params, metrics = sw.algos.shac.train(
        sw.SafeguardWrapper(env, safeguard), 2_000 if QUICK else 50_000, episode_length=200
    )
    print(f"{env.guarantee.status}; exits in training: {metrics['training/violations']}")
    policy = make_policy(params, deterministic=True)
    exported = sw.export_controller(
        FOLDER, env.system, safeguard, policy=policy, observe=env.observe
    )
    for name, latency in exported.latencies.items():
        print(f"{name}: {latency.median:.0f} us")
    subprocess.run([sys.executable, "-I", "-c", DRIVE, str(FOLDER)], check=True)
    states = np.loadtxt(FOLDER / "drive.txt")
    print("smallest gap beyond the headway:", np.min(states @ [1, -0.5]) - 5, "m")
    ax = certificate.claim.safe_state_set.plot()
    ax.plot(*states.T, ".-", markersize=3)
    ax.set(xlabel="gap (m)", ylabel="speed (m/s)")
    plt.savefig("cruise_control.png")


if __name__ == "__main__":
    main()

"""Finds the safe sets of the bundled robots anew, proves them, and writes their files.

python benchmarks/robot_sets.py                       # into the package, all of them
python benchmarks/robot_sets.py --sets 7_links --output /tmp
"""

import argparse
import sys
from pathlib import Path

import safe_wrappers as sw

ASSETS = Path(__file__).parents[1] / "envs" / "assets"
# Of the arms: limits of each joint (rad) and of its speed (rad/s), and disturbances (rad/s^2).
ARMS = {2: (2.6, 3.0, 0.5), 3: (2.4, 2.0, 0.5), 7: (2.0, 0.7, 0.3)}
# Of the quadrotor, in the order of its states; the wind (m/s^2); and the virtual inputs, which are
# smaller than its motors allow: what pitches and climbs less disturbs the other axes less.
QUADROTOR = [3.0, 3.0, 2.0, 0.1, 0.35, 0.35, 2.0, 2.0, 1.5, 0.4, 2.0, 2.0]
WIND = [0.5, 0.5, 0.5]
INPUTS = [1.0, 12.0, 12.0, 2.0]


def find(name: str) -> sw.Certificate:
    """The certificate of this name: "2_links" and so on of the arm, "wide" of the quadrotor."""
    if name == "wide":
        return sw.certify(
            sw.envs.get_model("safe_quadrotor_3d"),
            constraints=sw.Box.symmetric(QUADROTOR),
            disturbances=sw.Box.symmetric(WIND),
            inputs=sw.Box.symmetric(INPUTS),
            name=name,
        )
    links = int(name.removesuffix("_links"))
    angle, speed, push = ARMS[links]
    return sw.certify(
        sw.envs.get_model("safe_arm", links=links),
        constraints=sw.Box.symmetric([angle] * links + [speed] * links),
        disturbances=sw.Box.symmetric([push] * links),
        name=name,
    )


def main() -> int:
    """Writes the files."""
    names = [*(f"{links}_links" for links in ARMS), "wide"]
    parser = argparse.ArgumentParser(description="Finds the safe sets of the robots anew.")
    parser.add_argument("--sets", nargs="+", choices=names, default=names)
    parser.add_argument("--output", type=Path, default=ASSETS)
    options = parser.parse_args()
    for name in options.sets:
        certificate = find(name)
        certificate.save(options.output / f"{certificate.claim.model.name}.{name}.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A study so small that a row of it takes the time of its compilation."""

STUDY = """
title = "tiny"

[defaults]
seeds = 2
evaluations = 3
episodes = 4

[tasks.pendulum]
system = "safe_pendulum"
num_timesteps = 64
episode_length = 16
options = { safe_set = "narrow", target_angle = 0.8 }

[learners.shac]
algorithm = "shac"
options = { num_envs = 4, horizon_length = 4 }

[safeguards.none]
safeguard = "none"

[safeguards.projection]
safeguard = "boundary_projection"
title = "boundary projection"

[safeguards.replacement]
safeguard = "replacement"

[[rows]]
tasks = ["pendulum"]
learners = ["shac"]
safeguards = ["none"]
deployed = ["replacement"]

[[rows]]
tasks = ["pendulum"]
learners = ["shac"]
safeguards = ["projection", "replacement"]

[quick]
rows = ["*/projection"]
num_timesteps = 16
seeds = 1

[[published]]
row = "pendulum/shac/projection"
return = -8.4
interactions = 23_400
stuck = 2
"""

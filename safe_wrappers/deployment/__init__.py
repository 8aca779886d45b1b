"""From a trained policy to a controller that runs."""

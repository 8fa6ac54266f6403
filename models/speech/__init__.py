"""Speech as plain code over samples: where somebody speaks, what is said, and what of it is not to be believed."""

"""Networks and how they become models. Needs the `train` extra; nothing outside this folder imports it."""

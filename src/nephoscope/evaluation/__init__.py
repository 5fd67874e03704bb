"""Evaluation: models against labels, baselines and annotators, and what labelled data look like."""

"""Tests that share one Airflow which runs; a package, because pytest ends what is scoped to a package with it only."""

"""The eleven sections of the playbook: each folder is one task group of the same name."""

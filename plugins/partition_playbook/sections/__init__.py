"""One module is one section of the playbook and one task group of that name; wiring only."""

"""One module a version. They only add: older software keeps working on a newer schema."""

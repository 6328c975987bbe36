"""The input of users as it arrives: files, YAML, numbers and addresses, checked before anything uses them."""

"""What other programs import under the names of before `scanner.service` was a package."""

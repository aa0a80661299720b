"""What is fetched over HTTP: files, and pages of APIs."""

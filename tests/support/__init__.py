"""What the tests share: MPI jobs and programs as subprocesses. See README.md beside this file."""

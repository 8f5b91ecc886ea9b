"""`python -m service` is `gradient-service`."""

from service.cli import main

if __name__ == "__main__":
    main()

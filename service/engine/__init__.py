"""The mathematics: graphs, programs, forward values and derivatives. No HTTP, no Pydantic."""

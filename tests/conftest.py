pytest_plugins = ["tests.fixtures.valkey", "tests.fixtures.stack"]

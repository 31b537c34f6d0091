pytest_plugins = [
    "tests.fixtures.command_line",
    "tests.fixtures.valkey",
    "tests.fixtures.stack",
    "tests.fixtures.s3",
    "tests.fixtures.browser",
]

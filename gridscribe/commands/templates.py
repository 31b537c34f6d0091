"""Commands about the templates that a service keeps."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from gridscribe.client import DEFAULT_SERVER
from gridscribe.commands.connection import (
    AsJson,
    AsJsonLines,
    Server,
    complete_template,
    connect,
)
from gridscribe.commands.spec_options import takes_service_spec
from gridscribe.console import err, out, print_document, print_line
from gridscribe.image_files import InputError
from shared.job_spec import JobSpec, Template

app = typer.Typer(no_args_is_help=True, help="Layouts that the service keeps for you.")

SIZES = ("cell_size", "resize")
"""Fields that are a width and a height."""

Name = Annotated[str, typer.Argument(autocompletion=complete_template, help="The template's name.")]


@app.command("list")
def list_templates(server: Server = DEFAULT_SERVER, as_json: AsJsonLines = False) -> None:
    """List the built-in templates, then yours."""
    with connect(server) as client:
        found = client.templates.list()
    if as_json:
        for template in found:
            print_line(template, exclude_unset=True)
        return
    table = Table("template", "whose", "layout")
    for template in found:
        whose = "built in" if template.built_in else "yours"
        table.add_row(Text(template.name), whose, Text(", ".join(_layout(template.spec))))
    out.print(table)


@app.command()
def show(name: Name, server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Show what a template decides."""
    with connect(server) as client:
        template = client.templates.get(name)
    if as_json:
        print_document(template, exclude_unset=True)
    else:
        for line in _layout(template.spec):
            out.print(Text(line))


@app.command()
@takes_service_spec
def save(
    *,
    spec: JobSpec,
    name: Name,
    replace: Annotated[bool, typer.Option(help="Put it in place of an earlier one.")] = True,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Save a layout under a name, for --template."""
    fields = spec.model_dump(exclude_unset=True)
    if others := sorted(fields.keys() - Template.model_fields.keys()):
        options = ", ".join("--" + other.replace("_", "-") for other in others)
        raise InputError(f"{options}: a template holds nothing but the layout")
    template = Template.model_validate(fields)
    with connect(server) as client:
        write = client.templates.save if replace else client.templates.create
        saved = write(name, template)
    if as_json:
        print_document(saved, exclude_unset=True)
    else:
        layout = ", ".join(_layout(saved.spec))
        err.print(f"saved {escape(name)}: {escape(layout)}", soft_wrap=True)


@app.command()
def delete(name: Name, server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Remove a template; jobs made with it keep their layout."""
    with connect(server) as client:
        client.templates.delete(name)
    if as_json:
        print_document({"deleted": name})
    else:
        err.print(f"deleted {escape(name)}")


def _layout(template: Template) -> list[str]:
    """Each field that it decides, steps of preprocessing among them."""
    fields = template.model_dump(mode="json", exclude_unset=True)
    fields |= fields.pop("preprocessing", {})
    return [
        f"{name}: {'x'.join(map(str, value)) if name in SIZES else value}"
        for name, value in fields.items()
    ]

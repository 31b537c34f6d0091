// A CSV as the page needs it: its columns to choose from, and the values of one. The service reads it anew.

/** `{columns, rows}`, rows as arrays; separated by comma, semicolon or tab, quoted as RFC 4180 has it. */
export function parseCsv(text) {
  const [line] = text.replace(/^\ufeff/, "").split(/\r?\n/, 1);
  const separator = [",", ";", "\t"].reduce((best, mark) => (line.split(mark).length > line.split(best).length ? mark : best));
  const rows = [];
  let row = [];
  let cell = "";
  let quoted = false;
  const body = text.replace(/^\ufeff/, "");
  for (let at = 0; at < body.length; at += 1) {
    const sign = body[at];
    if (quoted) {
      if (sign !== '"') cell += sign;
      else if (body[at + 1] === '"') {
        cell += '"';
        at += 1;
      } else quoted = false;
    } else if (sign === '"' && cell === "") quoted = true;
    else if (sign === separator) {
      row.push(cell.trim());
      cell = "";
    } else if (sign === "\n") {
      rows.push([...row, cell.trim()]);
      row = [];
      cell = "";
    } else if (sign !== "\r") cell += sign;
  }
  if (cell || row.length) rows.push([...row, cell.trim()]);
  const [columns = [], ...rest] = rows;
  return { columns: columns.filter(Boolean), rows: rest.filter((cells) => cells.some(Boolean)), header: columns };
}

/** How many different values a column has; 0 where there is no such column. */
export function countValues(table, column) {
  const at = table.header.findIndex((name) => name.toLowerCase() === column.toLowerCase());
  return at < 0 ? 0 : new Set(table.rows.map((row) => row[at] ?? "")).size;
}

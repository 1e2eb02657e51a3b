/** Between columns, as the original prints its tables. */
const gap = 4;

/** Columns as wide as their widest cell; the last one is not padded. An empty cell is `-`. */
export function renderTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, ...rows].map((cells) => cells.map((cell) => (cell === "" ? "-" : printable(cell))));
  const widths = header.map((_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)));
  const render = (cells: readonly string[]) =>
    cells.map((cell, column) => cell.padEnd((widths[column] ?? 0) + gap)).join("");
  return lines.map((cells) => `${render(cells).trimEnd()}\n`).join("");
}

/** `2025-01-15 10:30:00`, in the time zone of whoever reads it. */
export function renderTime(date: Date): string {
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19).replace("T", " ");
}

/** JSON that is safe on a terminal: JSON.stringify leaves DEL, the C1 controls and bidirectional overrides alone. */
export function renderJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2).split("\n").map(printable).join("\n")}\n`;
}

/** Text from outside: what a terminal would act on or hide is shown as `\u001b`. */
export function printable(text: string): string {
  return text.toWellFormed().replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (char) => {
    const units = Array.from({ length: char.length }, (_, index) => char.charCodeAt(index));
    return units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
  });
}

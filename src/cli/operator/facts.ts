import { printable } from "./render.ts";
import { type Paint, painted, type Screen } from "./screen.ts";

/** One thing to know, on a line of its own; without a name it goes on with the one before. */
export interface Fact {
  readonly name: string;
  readonly value: string;
  readonly paint?: Paint | null;
}

const indent = 11;

/** On a terminal long values are wrapped beside their names; elsewhere each stays one line, for grep. */
export function renderFacts(facts: readonly Fact[], screen: Pick<Screen, "columns" | "colour">): string {
  const columns = screen.columns();
  const width = columns === null ? Number.POSITIVE_INFINITY : Math.max(20, columns - indent);
  return facts
    .flatMap(({ name, value, paint = null }) =>
      wrapped(printable(value), width).map((line, index) => {
        const label = (index === 0 ? name : "").padEnd(indent);
        return `${`${label}${painted(line, paint, screen)}`.trimEnd()}\n`;
      }),
    )
    .join("");
}

/** At blanks; a word that is wider than the line is cut. */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1) ?? "";
    const joined = line === "" ? word : `${line} ${word}`;
    if (joined.length <= width) {
      lines[lines.length - 1] = joined;
      continue;
    }
    if (line !== "") lines.push("");
    let rest = word;
    while (rest.length > width) {
      lines[lines.length - 1] = rest.slice(0, width);
      lines.push("");
      rest = rest.slice(width);
    }
    lines[lines.length - 1] = rest;
  }
  return lines;
}

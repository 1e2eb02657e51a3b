import { readFileSync } from "node:fs";

export const units = ["dewy.service", "dewy@.service"] as const;

/** The changes that a unit's head names, by what they are for: each the text of a drop-in. */
export function dropIns(unit: (typeof units)[number]): ReadonlyMap<string, string> {
  const text = readFileSync(`packaging/systemd/${unit}`, "utf8");
  const head = text.slice(0, text.indexOf("\n[Unit]")).split(/^#$\n/m);
  return new Map(head.flatMap((paragraph) => dropInOf(paragraph.split("\n"))));
}

function dropInOf(lines: readonly string[]): [string, string][] {
  const start = lines.indexOf("#   [Service]");
  if (start < 0) return [];
  const about = lines.slice(0, start).map((line) => line.slice("# ".length));
  const content = lines.slice(start).filter((line) => line !== "");
  return [[about.join(" "), content.map((line) => `${line.slice("#   ".length)}\n`).join("")]];
}

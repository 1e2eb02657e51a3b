// Programs colour what they print; none of it is for a reader of plain text. ECMA-48: CSI and OSC sequences.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const colours = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g;
/** Control characters; U+2028 and U+2029 break lines in some readers, the bidirectional controls turn text around. */
const unprintable = "\\p{Cc}\\p{Zl}\\p{Zp}\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069";
const runs = new RegExp(`[${unprintable}]+`, "gu");
const withinLines = new RegExp(`(?![\\n\\t])[${unprintable}]`, "gu");

/** On one line, without anything that could end a header or a line of the log. */
export function oneLine(text: string): string {
  return text.toWellFormed().replace(colours, "").replace(runs, " ").trim();
}

/** Lines and tabs kept, colours and control characters gone. */
export function clean(text: string): string {
  return text.toWellFormed().replace(colours, "").replace(/\r\n?/g, "\n").replace(withinLines, "");
}

/** What a program printed, for a person. */
export function printed(text: string): string {
  const lines = clean(text).split("\n");
  return lines
    .map((line) => line.replaceAll("\t", "    ").trimEnd())
    .join("\n")
    .trim();
}

/** The end of a text, where programs say why they gave up, in at most `most` UTF-16 units. */
export function tailOf(text: string, most: number): string {
  if (text.length <= most) return text;
  if (most <= 2) return "";
  const end = text.slice(-(most - 2));
  // Half of a pair is no character.
  return `…\n${/^[\udc00-\udfff]/.test(end) ? end.slice(1) : end}`;
}

/** The beginning, in at most `most` UTF-16 units. */
export function headOf(text: string, most: number): string {
  if (text.length <= most) return text;
  return `${text.slice(0, most - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}

import { History } from "../../agent/history.ts";
import { toDewyError } from "../../errors.ts";
import type { Cause, DeployRecord } from "../../release/release.ts";
import type { Layout } from "../run/layout.ts";
import { wrapped } from "./facts.ts";
import { printable, renderTable, renderTime } from "./render.ts";
import { renderSpan } from "./render-time.ts";
import type { Screen } from "./screen.ts";

/** The last deploys, the newest first. */
export function readHistory(layout: Layout, count: number): DeployRecord[] {
  try {
    return new History(layout.history).read().filter(isRecord).slice(-count).reverse();
  } catch (error) {
    throw toDewyError(error, `read ${layout.history}`);
  }
}

/** A line may be whole and still none of ours. */
function isRecord(record: unknown): boolean {
  if (typeof record !== "object" || record === null) return false;
  const fields = ["tag", "result", "finishedAt", "command"];
  return fields.every((field) => typeof Reflect.get(record, field) === "string");
}

const header = ["TIME", "VERSION", "FROM", "RESULT", "CAUSE", "TOOK"];
const indent = "    ";

/** Where the reasons of failures do not fit into a column of a terminal, each stands below its deploy. */
export function renderHistory(
  records: readonly DeployRecord[],
  { columns }: Pick<Screen, "columns">,
): string {
  if (records.length === 0) return "Nothing has been deployed here.\n";
  const rows = records.map(rowOf);
  const reasons = records.map(({ error }) => error ?? "");
  const width = columns() ?? Number.POSITIVE_INFINITY;
  const table = renderTable(
    [...header, "WHY"],
    rows.map((row, index) => [...row, reasons[index] ?? ""]),
  );
  if (table.split("\n").every((line) => line.length <= width)) return table;
  const [head = "", ...lines] = renderTable(header, rows).trimEnd().split("\n");
  const below = (index: number) => {
    const reason = printable(reasons[index] ?? "");
    const wide = Math.max(20, width - indent.length);
    return reason === "" ? [] : wrapped(reason, wide).map((line) => `${indent}${line}`);
  };
  return [head, ...lines.flatMap((line, index) => [line, ...below(index)]), ""].join("\n");
}

function rowOf({ finishedAt, tag, fromTag, result, cause, durationMs }: DeployRecord): string[] {
  return [shownTime(finishedAt), tag, fromTag ?? "", result, shownCause(cause), renderSpan(durationMs)];
}

const causes: Readonly<Record<string, string>> = {
  check: "new release",
  deploy: "dewy deploy",
  rollback: "dewy rollback",
  retreat: "going back",
} satisfies Record<Cause, string>;

/** A newer dewy may know more of them, and an older one knew none. */
function shownCause(cause: string | undefined): string {
  return cause === undefined ? "" : (causes[cause] ?? cause);
}

function shownTime(text: string): string {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? text : renderTime(date);
}

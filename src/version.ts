import { version as packageVersion } from "../package.json";
import { createLog } from "./log.ts";

// Stamped by `bun build --define`; a run from source has none of them.
declare const DEWY_VERSION: string | undefined;
declare const DEWY_COMMIT: string | undefined;
declare const DEWY_DATE: string | undefined;

export interface Build {
  /** With exactly one `v`. */
  readonly version: string;
  readonly commit: string;
  readonly date: string;
}

export const build: Build = stamp(
  typeof DEWY_VERSION === "string" ? DEWY_VERSION : packageVersion,
  typeof DEWY_COMMIT === "string" ? DEWY_COMMIT : "none",
  typeof DEWY_DATE === "string" ? DEWY_DATE : "unknown",
);

export function stamp(version: string, commit: string, date: string): Build {
  return { version: version.replace(/^v*(?=\d)/, "v"), commit: commit.slice(0, 7), date };
}

/** The answer to `dewy --version`, one line. */
export function versionLine(of: Build, format: "text" | "json", now: () => Date): string {
  if (format === "text") return `dewy version: ${of.version} [${of.commit}, ${of.date}]\n`;
  let line = "";
  const write = (record: string) => {
    line += record;
  };
  createLog({ level: "info", format, write, now }).info("dewy version", { ...of });
  return line;
}

import type { DeployRecord } from "../release/release.ts";

/** The small object beside an artifact that says when, where and what was deployed. */
export interface ReportObject {
  readonly name: string;
  /** JSON, one line and a newline. */
  readonly body: string;
}

const prefix = "shipped_to_";

/**
 * `shipped_to_<host>_<command>_at_<20261121T093646.123000000Z>.txt`. Made from the record alone, so that the same
 * record reported twice is the same object.
 */
export function reportObject(record: DeployRecord): ReportObject {
  const { host, tag, digest, fromTag, command, finishedAt, result, id } = record;
  const body = { host, tag, digest, from: fromTag, command, time: finishedAt, result, id };
  return {
    name: `${prefix}${safeHost(host)}_${command}_at_${compactTime(finishedAt)}.txt`,
    body: `${JSON.stringify(body)}\n`,
  };
}

/** Reports stand among a release's files but are none of them. */
export function isReportName(name: string): boolean {
  return name.startsWith(prefix) && name.endsWith(".txt");
}

/** GitHub would rename an asset with other characters in its name, and a bucket would make folders of `/`. */
function safeHost(host: string): string {
  return host.toLowerCase().replace(/[^a-z0-9.-]/g, "-");
}

/** An ISO 8601 time in UTC, with 0 to 9 digits after the second → `YYYYMMDDTHHMMSS.nnnnnnnnnZ`. */
function compactTime(iso: string): string {
  const utc = /Z$/.test(iso) ? iso : new Date(iso).toISOString();
  const [seconds = "", fraction = ""] = utc.replace(/Z$/, "").split(".");
  return `${seconds.replace(/[-:]/g, "")}.${fraction.padEnd(9, "0").slice(0, 9)}Z`;
}

/**
 * What can go wrong, by code. `exit` is the documented exit code of the class (1 configuration, 2 network,
 * 3 filesystem, 4 application). `blame` decides what a failed attempt counts as: only a failure of the
 * release itself may quarantine it; everything else backs off and is tried again.
 */
const codes = {
  "config-invalid": { exit: 1, blame: "operator", retryable: false },
  "no-agent": { exit: 1, blame: "operator", retryable: false },
  "lock-held": { exit: 1, blame: "operator", retryable: false },
  "port-in-use": { exit: 1, blame: "operator", retryable: false },
  "command-missing": { exit: 1, blame: "operator", retryable: false },
  "network-unreachable": { exit: 2, blame: "environment", retryable: true },
  "network-timeout": { exit: 2, blame: "environment", retryable: true },
  "rate-limited": { exit: 2, blame: "environment", retryable: true },
  "http-status": { exit: 2, blame: "environment", retryable: true },
  unauthorized: { exit: 2, blame: "environment", retryable: false },
  "not-found": { exit: 2, blame: "environment", retryable: true },
  "bad-answer": { exit: 2, blame: "environment", retryable: true },
  "artifact-missing": { exit: 2, blame: "environment", retryable: true },
  "engine-unreachable": { exit: 2, blame: "environment", retryable: true },
  "engine-failed": { exit: 4, blame: "environment", retryable: true },
  "disk-full": { exit: 3, blame: "environment", retryable: true },
  filesystem: { exit: 3, blame: "environment", retryable: true },
  "artifact-too-large": { exit: 4, blame: "release", retryable: false },
  "digest-mismatch": { exit: 4, blame: "release", retryable: false },
  "archive-refused": { exit: 4, blame: "release", retryable: false },
  "archive-corrupt": { exit: 4, blame: "release", retryable: false },
  "health-failed": { exit: 4, blame: "release", retryable: false },
  "health-unknown": { exit: 4, blame: "environment", retryable: true },
  "start-failed": { exit: 4, blame: "release", retryable: false },
  "serving-ended": { exit: 4, blame: "environment", retryable: true },
  "hook-failed": { exit: 4, blame: "environment", retryable: true },
  stopped: { exit: 0, blame: "operator", retryable: false },
  internal: { exit: 4, blame: "environment", retryable: true },
} as const satisfies Record<string, { exit: 0 | 1 | 2 | 3 | 4; blame: Blame; retryable: boolean }>;

/** Whose fault a failure is: the release's, the operator's configuration, or the world around the agent. */
export type Blame = "release" | "operator" | "environment";
export type ErrorCode = keyof typeof codes;

/** For codes that come from another process. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(codes, text);
}

interface ErrorDetails {
  /** What the operator should do next, as one sentence. */
  hint?: string | undefined;
  cause?: unknown;
  /** Overrides the code's default. */
  retryable?: boolean;
  /** Milliseconds the other side asked us to wait (Retry-After, rate-limit reset). */
  retryAfterMs?: number | undefined;
}

/** Every failure dewy reports. `message` says what failed; `hint` what to do; `cause` what lies beneath. */
export class DewyError extends Error {
  // Minified builds rename classes: an explicit name keeps logs readable.
  override readonly name = "DewyError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? {} : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
    this.retryable = details.retryable ?? codes[code].retryable;
    this.retryAfterMs = details.retryAfterMs;
  }

  get blame(): Blame {
    return codes[this.code].blame;
  }

  get exitCode(): number {
    return codes[this.code].exit;
  }
}

const outOfSpace = new Set(["ENOSPC", "EDQUOT"]);
const notWritable = new Set(["EACCES", "EPERM", "EROFS"]);
const unreachable = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EPIPE",
  "ConnectionRefused",
  "ConnectionClosed",
  "FailedToOpenSocket",
  "UND_ERR_SOCKET",
]);

/** The `code` of a system or library error (`ENOENT`, `ConnectionRefused`), if it has one. */
export function systemCode(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** Turns anything thrown into a DewyError; one that already is stays as it is. */
export function toDewyError(error: unknown, doing: string): DewyError {
  if (error instanceof DewyError) return error;
  const code = systemCode(error);
  const text = `${doing}: ${messageOf(error)}`;
  if (error instanceof Error && error.name === "TimeoutError") {
    return new DewyError("network-timeout", `${doing}: no answer before the deadline`, { cause: error });
  }
  if (error instanceof Error && error.name === "AbortError") {
    return new DewyError("stopped", `${doing}: stopped`, { cause: error });
  }
  if (code !== undefined && outOfSpace.has(code)) {
    return new DewyError("disk-full", text, {
      cause: error,
      hint: "free some disk space; dewy tries again by itself",
    });
  }
  if (code !== undefined && notWritable.has(code)) {
    return new DewyError("filesystem", text, {
      cause: error,
      hint: "make the directory writable for the user dewy runs as",
    });
  }
  if (code !== undefined && unreachable.has(code)) {
    return new DewyError("network-unreachable", text, { cause: error });
  }
  if (code?.startsWith("E")) return new DewyError("filesystem", text, { cause: error });
  return new DewyError("internal", text, { cause: error });
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

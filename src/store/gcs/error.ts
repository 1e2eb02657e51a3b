import { DewyError } from "../../errors.ts";
import { limitMs } from "../../http/status.ts";
import { field } from "../../util/field.ts";
import { clean } from "./clean.ts";

/** What a request is for. */
export interface GcsTask {
  /** Begins every error; holds no secret. */
  readonly doing: string;
  readonly bucket: string;
  readonly host: string;
  /** Whether credentials go along. */
  readonly authenticated: boolean;
}

/** An answer that is no success; `text` is the beginning of its body. */
export interface GcsAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** The cause of an answer's DewyError, for callers to whom a status is an answer (412, 404). */
export class GcsRefusal extends Error {
  constructor(
    readonly status: number,
    readonly said: string,
  ) {
    super(`status ${status}${said === "" ? "" : `: ${said}`}`);
  }
}

/** The refusal beneath an error; null when there was no answer. */
export function refusalOf(error: unknown): GcsRefusal | null {
  return error instanceof DewyError && error.cause instanceof GcsRefusal ? error.cause : null;
}

/** Whether a 404 is the bucket's; null when the service does not say. */
export function isBucketMissing({ said }: GcsRefusal): boolean | null {
  if (/bucket does not exist/i.test(said)) return true;
  return /no such object/i.test(said) ? false : null;
}

/** Google names no time: it asks for back-off, from a second on. One object may be written once a second. */
const unnamedLimitMs = 5000;

const hints = {
  401: "the token was refused: has the key been deleted or the account disabled? Make a new key and name it in GOOGLE_APPLICATION_CREDENTIALS",
  anonymous401:
    "the bucket is not public: remove anonymous=true or endpoint=, and name a key file in GOOGLE_APPLICATION_CREDENTIALS",
  proxy: "put the proxy's user and password into HTTPS_PROXY: http://user:password@host:port",
  billing: "enable billing for the bucket's project; until then Google refuses every call",
  perimeter:
    "a VPC Service Controls perimeter keeps this host out: add it to an access level of the perimeter",
  requesterPays: "turn the bucket's requester pays off: dewy has no project to bill",
  retention: "the bucket's retention policy or a hold keeps the object: use a bucket without one",
  skewed: "set this host's clock (timedatectl set-ntp true)",
} as const;

/** The one place where an answer of Google Cloud Storage becomes an error. */
export function answerError(answer: GcsAnswer, task: GcsTask, now: Date): DewyError {
  const { status, headers } = answer;
  const { said, reasons } = explanation(answer);
  const cause = new GcsRefusal(status, said);
  const text = `${task.doing}: ${task.host} answered ${status}${said === "" ? "" : ` (${said})`}`;
  const isLimit = status === 429 || reasons.some((reason) => /rateLimitExceeded|quotaExceeded/i.test(reason));
  if (isLimit) {
    const named = headers.has("retry-after") ? limitMs({ status: 429, headers, said }, now) : null;
    return new DewyError("rate-limited", text, { cause, retryAfterMs: named ?? unnamedLimitMs });
  }
  const refusal = refusalHint(status, said, reasons, task);
  if (refusal !== null) return new DewyError("unauthorized", text, { cause, hint: refusal });
  if (status === 404 || status === 410) return missing(cause, text, task);
  const retryAfterMs = limitMs({ status, headers, said }, now) ?? undefined;
  const retryable = status >= 500 || status === 408;
  const hint = hintOfStatus(status, said);
  return new DewyError("http-status", text, { cause, retryable, retryAfterMs, hint });
}

export function bucketMissing(task: GcsTask, cause?: GcsRefusal): DewyError {
  return new DewyError("not-found", `${task.doing}: the bucket ${task.bucket} does not exist`, {
    ...(cause === undefined ? {} : { cause }),
    hint: "check the name in the gs:// URL, or create the bucket (gcloud storage buckets create)",
  });
}

function missing(cause: GcsRefusal, text: string, task: GcsTask): DewyError {
  return isBucketMissing(cause) === true
    ? bucketMissing(task, cause)
    : new DewyError("not-found", text, { cause });
}

function hintOfStatus(status: number, said: string): string | undefined {
  if (/requester pays/i.test(said)) return hints.requesterPays;
  return status >= 300 && status < 400
    ? "something between this host and the service redirects: check endpoint= and the proxy"
    : undefined;
}

/** null: the status is no refusal. */
function refusalHint(status: number, said: string, reasons: readonly string[], task: GcsTask): string | null {
  if (status === 407) return hints.proxy;
  if (status === 401) return task.authenticated ? hints[401] : hints.anonymous401;
  if (status !== 403) return null;
  const all = `${said} ${reasons.join(" ")}`;
  if (/billing|accountDisabled/i.test(all)) return hints.billing;
  if (/vpcServiceControls|organization's policy|SECURITY_POLICY_VIOLATED/i.test(all)) return hints.perimeter;
  if (/requester pays|userProject/i.test(all)) return hints.requesterPays;
  if (/retentionPolicy|retention policy|hold/i.test(all)) return hints.retention;
  if (/RequestTimeTooSkewed/i.test(all)) return hints.skewed;
  return permissionHint(said, task);
}

/** Google says `sa@project.iam.gserviceaccount.com does not have storage.objects.get access to …`. */
function permissionHint(said: string, task: GcsTask): string {
  if (!task.authenticated) return hints.anonymous401;
  const permission = /\bstorage\.[a-z]+\.[a-zA-Z]+\b/.exec(said)?.[0] ?? null;
  const account = /[\w.+-]+@[\w.-]+\w/.exec(said)?.[0] ?? "the account dewy runs with";
  const writes = permission !== null && /\.(create|delete|update|setIamPolicy)$/.test(permission);
  const role = permission === null || writes ? "roles/storage.objectUser" : "roles/storage.objectViewer";
  const missing = permission === null ? "" : `${permission} is missing: `;
  return `${missing}grant ${role} on gs://${task.bucket} to ${account}`;
}

/** `{"error": {"message", "errors": [{"reason", "message"}]}}`; media and proxies answer in plain text or HTML. */
function explanation({ headers, text }: GcsAnswer): { said: string; reasons: readonly string[] } {
  const type = headers.get("content-type") ?? "";
  if (/html/i.test(type) || text.trimStart().startsWith("<")) {
    const code = /<Code>(\w+)<\/Code>/.exec(text)?.[1] ?? "";
    return { said: /html/i.test(type) ? "a web page, not the storage service" : code, reasons: [code] };
  }
  try {
    const parsed: unknown = JSON.parse(text);
    const error = field(parsed, "error");
    const errors = field(error, "errors");
    const details = Array.isArray(errors) ? errors : [];
    const reasons = details.map((detail: unknown) => field(detail, "reason")).filter(isText);
    const message = field(error, "message");
    return { said: isText(message) ? clean(message) : "", reasons };
  } catch {
    return { said: /^[\x20-\x7e\s]*$/.test(text) ? clean(text) : "", reasons: [] };
  }
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

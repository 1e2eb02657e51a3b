import { field } from "../../util/field.ts";

/** What an S3 service said when it refused, as far as it said it. The library's own error types stay out of here. */
export interface S3Refusal {
  /** `NoSuchKey`; null where the answer had no body (HEAD) or none that S3 would give. */
  readonly code: string | null;
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Headers;
  /** In the service's words, secrets and all: clean it before it is shown. */
  readonly said: string;
  /** The bucket's, where the service tells that another one was asked. */
  readonly region: string | null;
  /** The access key that was refused. */
  readonly keyId: string | null;
}

/** null: the error is none of a service. */
export function refusalOf(error: unknown): S3Refusal | null {
  const metadata = field(error, "$metadata");
  const status = field(metadata, "httpStatusCode");
  if (typeof status !== "number") return null;
  const headers = headersOf(field(field(error, "$response"), "headers"));
  return {
    code: words(field(error, "Code")) ?? modelled(words(field(error, "name"))),
    status,
    headers,
    said: words(field(error, "message")) ?? "",
    region: headers.get("x-amz-bucket-region") ?? words(field(error, "Region")),
    keyId: words(field(error, "AWSAccessKeyId")),
  };
}

/** The library names what it has no code for by itself, and a HEAD's 404 `NotFound`, whatever was not found. */
function modelled(name: string | null): string | null {
  return name === null || /^(Unknown|UnknownError|NotFound|Error|[A-Z]\w*Error|\d+)$/.test(name)
    ? null
    : name;
}

function headersOf(value: unknown): Headers {
  const headers = new Headers();
  if (typeof value !== "object" || value === null) return headers;
  for (const [name, text] of Object.entries(value)) if (typeof text === "string") headers.set(name, text);
  return headers;
}

function words(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

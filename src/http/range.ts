import { DewyError } from "../errors.ts";
import type { ArtifactBody, ResumePoint } from "../release/source.ts";
import type { Call } from "../util/async.ts";
import type { HttpAnswer, HttpClient, HttpRequest } from "./client.ts";

/**
 * Opens a file over HTTP, from `resume` on where that is given and the content is still the same, else from
 * its beginning (offset 0). Range and If-Range, RFC 9110 §13.1.5 and §14.
 */
export async function openRanged(
  http: HttpClient,
  request: HttpRequest,
  resume: ResumePoint | null,
  c: Call,
): Promise<ArtifactBody> {
  const range: Record<string, string> =
    resume === null ? {} : { Range: `bytes=${resume.offset}-`, "If-Range": resume.validator };
  const answer = await http.request(
    {
      ...request,
      raw: true,
      headers: { ...request.headers, ...range },
      accept: resume === null ? [] : [416],
    },
    c,
  );
  if (answer.status === 200) return wholeBody(answer);
  if (resume !== null && answer.status === 206) {
    const rest = restOfBody(answer, resume);
    if (rest !== null) return rest;
  }
  await answer.body.discard();
  if (resume !== null) return openRanged(http, request, null, c);
  throw new DewyError(
    "bad-answer",
    `${request.doing}: ${answer.host} answered ${answer.status}, not the file`,
  );
}

function wholeBody(answer: HttpAnswer): ArtifactBody {
  const length = answer.headers.get("content-length");
  return {
    chunks: answer.body,
    offset: 0,
    totalBytes: length === null ? null : Number(length),
    validator: strongEtag(answer.headers),
  };
}

/** null when the part is not the one asked for: other content (a server that ignores If-Range) or another place. */
function restOfBody(answer: HttpAnswer, resume: ResumePoint): ArtifactBody | null {
  const etag = answer.headers.get("etag");
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(answer.headers.get("content-range") ?? "");
  if (range === null || Number(range[1]) !== resume.offset) return null;
  if (etag !== null && etag !== resume.validator) return null;
  return {
    chunks: answer.body,
    offset: resume.offset,
    totalBytes: range[2] === "*" ? null : Number(range[2]),
    validator: resume.validator,
  };
}

/** Only a strong ETag promises the same bytes; a server that serves no ranges has no use for one. */
function strongEtag(headers: Headers): string | null {
  const etag = headers.get("etag");
  if (etag === null || !etag.startsWith('"') || headers.get("accept-ranges") === "none") return null;
  return etag;
}

import { DewyError } from "../../errors.ts";
import type { Call } from "../../util/async.ts";
import type { Image, PullRequest, RegistryCredentials } from "../runtime.ts";
import { type EngineApi, readRefusal } from "./api.ts";
import { type Refusal, refused } from "./failure.ts";
import { findImage } from "./images.ts";
import { jsonLines } from "./lines.ts";
import { hostOf, pathOf } from "./names.ts";
import { PullTracker } from "./pull-progress.ts";
import type { EngineAnswer } from "./transport.ts";
import { progressOf } from "./wire.ts";

/** Docker is silent while it waits for a registry and while it checks a big layer's sum. */
const silenceMs = 120_000;
const maxLineBytes = 1024 * 1024;

export async function pullImage(api: EngineApi, request: PullRequest, c: Call): Promise<Image> {
  const reference = referenceOf(request);
  const doing = `pulling ${reference}`;
  const auth = request.credentials === null ? null : registryAuth(request.repository, request.credentials);
  const failure = (refusal: Refusal) =>
    refused("pull", doing, refusal, {
      secrets: auth === null || request.credentials === null ? [] : [auth, secretOf(request.credentials)],
      names: [request.repository, `/${pathOf(request.repository)}`, `:${request.tag}`],
    });
  const engine = await api.engine(c);
  const finished = await api.request(
    {
      method: "POST",
      path: `/images/create?${queryOf(request)}`,
      headers: auth === null ? {} : { "X-Registry-Auth": auth },
      doing,
      limit: { kind: "silence", ms: silenceMs, reason: () => silent(doing) },
    },
    async (answer) => {
      if (answer.status >= 400) {
        throw failure(await readRefusal(answer, doing));
      }
      const tracker = new PullTracker(engine.name, request.onProgress ?? (() => undefined), api.clock);
      return followPull(answer, tracker, (said) => failure({ status: answer.status, said }));
    },
    c,
  );
  const image = finished === null ? null : await findImage(api, reference, c);
  // The status was 200 long before; only the last line tells a pull that ended well from one that was cut off.
  if (image === null || !finished?.isOf(image.id)) {
    throw new DewyError("engine-failed", `${doing}: the engine stopped reporting before the image was there`);
  }
  return image;
}

async function followPull(
  { chunks }: EngineAnswer,
  tracker: PullTracker,
  failure: (said: string) => DewyError,
): Promise<{ isOf(imageId: string): boolean } | null> {
  for await (const line of jsonLines(chunks, maxLineBytes)) {
    const progress = progressOf(line);
    if (progress === undefined) continue;
    const error = progress.errorDetail?.message ?? progress.error ?? "";
    if (error !== "") throw failure(error);
    tracker.take(progress.status ?? "", progress.id ?? "", progress.progressDetail?.current ?? 0);
  }
  return tracker.finish();
}

/** `name:tag`, `name@sha256:…`. */
function referenceOf({ repository, tag }: PullRequest): string {
  return `${repository}${tag.startsWith("sha256:") ? "@" : ":"}${tag}`;
}

function queryOf({ repository, tag, platform }: PullRequest): URLSearchParams {
  const query = new URLSearchParams({ fromImage: repository, tag });
  if (platform !== null) query.set("platform", platform);
  return query;
}

/** base64url with its padding: older engines refuse it without. */
function registryAuth(repository: string, credentials: RegistryCredentials): string {
  const host = hostOf(repository);
  const serveraddress = host === "docker.io" ? "https://index.docker.io/v1/" : host;
  const { kind, ...rest } = credentials;
  const auth =
    kind === "password" ? { ...rest, serveraddress } : { identitytoken: credentials.token, serveraddress };
  return Buffer.from(JSON.stringify(auth)).toString("base64").replaceAll("+", "-").replaceAll("/", "_");
}

function secretOf(credentials: RegistryCredentials): string {
  return credentials.kind === "password" ? credentials.password : credentials.token;
}

function silent(doing: string): DewyError {
  return new DewyError("network-timeout", `${doing}: no progress for ${silenceMs / 1000}s`, {
    hint: "see whether the registry answers, and the engine's own log",
  });
}

import { DewyError } from "../../src/errors.ts";
import { Governor } from "../../src/http/governor.ts";
import { silentLog } from "../../src/log.ts";
import { type GrpcDeps, openGrpcRegistry } from "../../src/registry/grpc/registry.ts";
import { parseGrpcUrl } from "../../src/registry/grpc/url.ts";
import type { DeployRecord } from "../../src/release/release.ts";
import type { Clock } from "../../src/util/time.ts";
import { FakeClock } from "../support/clock.ts";

export const c = { signal: new AbortController().signal };

export const artifactUrl = "https://files.example/v1.0.0/app_linux_amd64.tar.gz";
export const answer = { id: "a1", tag: "v1.0.0", artifactUrl };

export const record: DeployRecord = {
  id: "01JD",
  host: "web1.example",
  command: "server",
  tag: "v1.0.0",
  digest: null,
  fromTag: null,
  startedAt: "2026-11-21T09:36:40.000Z",
  finishedAt: "2026-11-21T09:36:46.123Z",
  durationMs: 6123,
  result: "deployed",
};

/** `address`: `host:port?query`. Time stands still unless a clock is given. */
export function openAt(address: string, deps: Partial<GrpcDeps> & { readonly clock?: Clock } = {}) {
  const clock = deps.clock ?? new FakeClock();
  const options = parseGrpcUrl(new URL(`grpc://${address}`), { slot: null, calver: null });
  return openGrpcRegistry(options, {
    clock,
    platform: { os: "linux", arch: "amd64" },
    governor: new Governor({ clock, log: silentLog, random: () => 0.999 }),
    env: {},
    userAgent: "dewy/1.2.3",
    artifactSchemes: ["ghr", "s3", "gs", "https"],
    ...deps,
  });
}

export async function failureOf(work: Promise<unknown>): Promise<DewyError> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof DewyError)) throw new Error(`not a DewyError: ${String(error)}`);
  return error;
}

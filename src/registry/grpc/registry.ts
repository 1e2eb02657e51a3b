import { create, toBinary } from "@bufbuild/protobuf";
import { DewyError } from "../../errors.ts";
import { governed } from "../../http/governed.ts";
import type { Governor } from "../../http/governor.ts";
import type { Platform } from "../../release/platform.ts";
import type { DeployRecord, Release } from "../../release/release.ts";
import type { Call } from "../../util/async.ts";
import type { Latest, Registry } from "../registry.ts";
import { type Current, readCurrent } from "./answer.ts";
import { type ChannelDeps, GrpcChannel } from "./channel.ts";
import { CurrentRequestSchema, RegistryService, ReportRequestSchema } from "./registry_pb.ts";
import { authorityOf, type GrpcOptions } from "./url.ts";

export interface GrpcDeps extends ChannelDeps {
  readonly platform: Platform;
  readonly governor: Governor;
  /** Of the artifact URLs that can be opened: `ghr`, `s3`, `gs`, `https`. */
  readonly artifactSchemes: readonly string[];
}

const maxErrChars = 1000;
const maxRemembered = 100;

/** A server that says which release a host should run. Throws `config-invalid` when it can't ever be reached so. */
export function openGrpcRegistry(options: GrpcOptions, deps: GrpcDeps): Registry {
  return new GrpcRegistry(options, deps);
}

class GrpcRegistry implements Registry {
  readonly #channel: GrpcChannel;
  readonly #origin: string;
  /** By tag, the id of the last answer that named it. */
  readonly #ids = new Map<string, string>();
  /** Ids of records. */
  readonly #reported = new Map<string, true>();

  constructor(
    private readonly options: GrpcOptions,
    private readonly deps: GrpcDeps,
  ) {
    this.#channel = new GrpcChannel(options, deps);
    this.#origin = `grpc://${authorityOf(options)}`;
  }

  async latest(c: Call): Promise<Latest> {
    const current = await this.#current("look for the current release", c);
    return { release: current?.release ?? null, otherSlot: null };
  }

  /** There is no call for another release than the current one. */
  async find(tag: string, c: Call): Promise<Release | null> {
    const current = await this.#current(`find release ${tag}`, c);
    return current?.release.tag === tag ? current.release : null;
  }

  async report(record: DeployRecord, c: Call): Promise<void> {
    if (this.#reported.has(record.id)) return;
    const doing = `report ${record.tag}`;
    // After a restart nothing is known; and a server that has moved on meanwhile gets the tag alone.
    if (!this.#ids.has(record.tag)) await this.#current(doing, c);
    const { tag, command, result } = record;
    const err = result === "deployed" ? {} : { err: (record.error ?? result).slice(0, maxErrChars) };
    const message = create(ReportRequestSchema, { id: this.#ids.get(tag) ?? "", tag, command, ...err });
    await this.#call(RegistryService.method.report.name, toBinary(ReportRequestSchema, message), doing, c);
    remember(this.#reported, record.id, true);
  }

  minIntervalMs(): number {
    return 0;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#channel[Symbol.asyncDispose]();
  }

  /** null: NOT_FOUND, which is how a server says that this host has no release yet. */
  async #current(doing: string, c: Call): Promise<Current | null> {
    const { platform, artifactSchemes } = this.deps;
    const { artifact } = this.options;
    const request = create(CurrentRequestSchema, {
      ...platform,
      ...(artifact === null ? {} : { arifactName: artifact }),
    });
    const message = toBinary(CurrentRequestSchema, request);
    try {
      const answer = await this.#call(RegistryService.method.current.name, message, doing, c);
      const current = readCurrent(answer, artifactSchemes, doing);
      remember(this.#ids, current.release.tag, current.id);
      return current;
    } catch (error) {
      if (error instanceof DewyError && error.code === "not-found") return null;
      throw error;
    }
  }

  #call(method: string, message: Uint8Array, doing: string, c: Call): Promise<Uint8Array> {
    const path = `/${RegistryService.typeName}/${method}`;
    const work = () => this.#channel.call(path, message, doing, c);
    return governed(this.deps.governor, this.#origin, doing, work, c);
  }
}

/** The oldest go, so that an agent that runs for years stays small. */
function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  const oldest = map.keys().next();
  if (map.size > maxRemembered && oldest.done !== true) map.delete(oldest.value);
}

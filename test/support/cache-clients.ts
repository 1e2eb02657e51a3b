import { openConsulKeyValue } from "../../src/cache/consul/key-value.ts";
import { consulParams, readConsulUrl } from "../../src/cache/consul/url.ts";
import type { KeyValue, ValueKind } from "../../src/cache/key-value.ts";
import { openRedisKeyValue } from "../../src/cache/redis/key-value.ts";
import { readRedisUrl, redisParams } from "../../src/cache/redis/url.ts";
import { HttpClient } from "../../src/http/client.ts";
import { Governor } from "../../src/http/governor.ts";
import { silentLog } from "../../src/log.ts";
import { readQuery } from "../../src/util/query.ts";
import { systemClock } from "../../src/util/time.ts";

type Environment = Readonly<Record<string, string>>;
interface ClientOptions {
  readonly env?: Environment;
  readonly deadlines?: Readonly<Record<ValueKind, number>>;
}

/** As the agent opens it, with a governor of its own. */
export function redisAt(text: string, { env = {}, ...rest }: ClientOptions = {}): KeyValue {
  const url = new URL(text);
  const options = readRedisUrl(url, readQuery(url, redisParams), env);
  const governor = new Governor({ clock: systemClock, log: silentLog, random: () => 0 });
  return openRedisKeyValue(options, { governor, clock: systemClock, ...rest });
}

/** As the agent opens it, with an HTTP client of its own. */
export function consulAt(text: string, { env = {}, ...rest }: ClientOptions = {}): KeyValue {
  const url = new URL(text);
  const options = readConsulUrl(url, readQuery(url, consulParams), env);
  const shared = { clock: systemClock, log: silentLog, userAgent: "dewy/test", random: () => 0 };
  return openConsulKeyValue(options, { http: new HttpClient(shared), clock: systemClock, ...rest });
}

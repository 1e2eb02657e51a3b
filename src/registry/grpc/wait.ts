import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { RetryInfoSchema, StatusSchema } from "./rpc-status_pb.ts";

/** The trailers in which a server says how long it wants to be left alone. */
export interface WaitTrailers {
  /** `grpc-retry-pushback-ms`: milliseconds; negative: don't retry, which names no time. */
  readonly pushback: string | undefined;
  /** `retry-after`: seconds, as gateways before a server send it. */
  readonly retryAfter: string | undefined;
  /** `grpc-status-details-bin`: a google.rpc.Status. */
  readonly statusDetails: Uint8Array | undefined;
}

/** Milliseconds, the longest that was named; null: none was. */
export function waitMs({ pushback, retryAfter, statusDetails }: WaitTrailers): number | null {
  const named = [
    whole(pushback, 1),
    whole(retryAfter, 1000),
    statusDetails === undefined ? null : retryDelayMs(statusDetails),
  ].filter((ms) => ms !== null);
  return named.length === 0 ? null : Math.max(...named);
}

function whole(text: string | undefined, unitMs: number): number | null {
  return text !== undefined && /^\d{1,12}$/.test(text) ? Number(text) * unitMs : null;
}

/** What can't be read names no time; the status itself still counts. */
function retryDelayMs(bytes: Uint8Array): number | null {
  try {
    for (const detail of fromBinary(StatusSchema, bytes).details) {
      const delay = anyUnpack(detail, RetryInfoSchema)?.retryDelay;
      if (delay !== undefined) return Math.max(0, Number(delay.seconds) * 1000 + delay.nanos / 1e6);
    }
  } catch {}
  return null;
}

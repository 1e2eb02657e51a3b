import { describe, expect, test } from "bun:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack, EmptySchema } from "@bufbuild/protobuf/wkt";
import { status } from "@grpc/grpc-js";
import type { DewyError } from "../../src/errors.ts";
import { type CallFailure, callError } from "../../src/registry/grpc/failure.ts";
import { RetryInfoSchema, StatusSchema } from "../../src/registry/grpc/rpc-status_pb.ts";
import { waitMs } from "../../src/registry/grpc/wait.ts";

const peer = { host: "reg.example:443", tls: true, proxy: null };
const answered = { details: "", answered: true, waitMs: null, dial: null };
const broken = { status: status.UNAVAILABLE, details: "", answered: false, waitMs: null, dial: null };

describe("a status of the server", () => {
  test.each<[number, Partial<DewyError>]>([
    [status.CANCELLED, { code: "http-status", retryable: true }],
    [status.UNKNOWN, { code: "http-status", retryable: true }],
    [status.INVALID_ARGUMENT, { code: "http-status", retryable: false }],
    [status.DEADLINE_EXCEEDED, { code: "network-timeout", retryable: true }],
    [status.NOT_FOUND, { code: "not-found", retryable: false }],
    [status.ALREADY_EXISTS, { code: "http-status", retryable: false }],
    [status.PERMISSION_DENIED, { code: "unauthorized", hint: expect.stringContaining("admit this host") }],
    [status.RESOURCE_EXHAUSTED, { code: "rate-limited", retryable: true }],
    [status.FAILED_PRECONDITION, { code: "http-status", retryable: false }],
    [status.ABORTED, { code: "http-status", retryable: true }],
    [status.OUT_OF_RANGE, { code: "http-status", retryable: false }],
    [
      status.UNIMPLEMENTED,
      { code: "http-status", retryable: false, hint: expect.stringContaining("dewy.RegistryService") },
    ],
    [status.INTERNAL, { code: "http-status", retryable: true }],
    [status.UNAVAILABLE, { code: "http-status", retryable: true }],
    [status.DATA_LOSS, { code: "http-status", retryable: true }],
    [status.UNAUTHENTICATED, { code: "unauthorized", hint: expect.stringContaining("no credentials") }],
    [99, { code: "http-status", message: "ask: reg.example:443 answered the unknown status 99" }],
  ])("%i", (code, expected) => {
    expect(callError({ ...answered, status: code }, "ask", peer)).toMatchObject(expected);
  });

  test.each([
    ["not now", "ask: reg.example:443 answered UNAVAILABLE (not now)"],
    ["", "ask: reg.example:443 answered UNAVAILABLE"],
    ["a\nb\u001b[31m\tc\u202ed\u2028e", "ask: reg.example:443 answered UNAVAILABLE (a b [31m c d e)"],
    [
      "no https://user:secret@db.example/x?token=secret here",
      "ask: reg.example:443 answered UNAVAILABLE (no https://db.example/x here)",
    ],
    ["x".repeat(5000), `ask: reg.example:443 answered UNAVAILABLE (${"x".repeat(200)})`],
  ])("with the words %j is one short line without secrets", (details, message) => {
    const failure = { ...answered, status: status.UNAVAILABLE, details };
    expect(callError(failure, "ask", peer).message).toBe(message);
  });

  test("counts though another address of the server could not be reached", () => {
    const dial = { kind: "tls", code: "CERT_HAS_EXPIRED" } as const;
    const error = callError({ ...answered, dial, status: status.NOT_FOUND }, "ask", peer);
    expect(error.code).toBe("not-found");
  });

  test("that a gateway's HTTP status stands for names that", () => {
    const details = "Received HTTP status code 503";
    expect(callError({ ...broken, details }, "ask", peer)).toMatchObject({
      code: "http-status",
      message: "ask: reg.example:443 answered UNAVAILABLE (HTTP status 503)",
    });
  });

  test("carries the time it names", () => {
    const failure = { ...answered, status: status.RESOURCE_EXHAUSTED, waitMs: 7000 };
    expect(callError(failure, "ask", peer).retryAfterMs).toBe(7000);
  });
});

describe("no connection", () => {
  const proxied = { ...peer, proxy: "proxy.example:3128" };
  const plain = { ...peer, tls: false };
  const tls = (code: string): Partial<CallFailure> => ({ dial: { kind: "tls", code } });
  const proxy = (code: number | null): Partial<CallFailure> => ({ dial: { kind: "proxy", status: code } });
  const none = "No connection established. Last error: ";
  test.each<[Partial<CallFailure>, typeof peer | typeof proxied, RegExp, RegExp | null]>([
    [tls("SELF_SIGNED_CERT_IN_CHAIN"), peer, /signed by nobody trusted/, /ca=/],
    [tls("DEPTH_ZERO_SELF_SIGNED_CERT"), peer, /signed by nobody trusted/, /SSL_CERT_FILE/],
    [tls("UNABLE_TO_GET_ISSUER_CERT_LOCALLY"), peer, /signed by nobody trusted/, /ca=/],
    [tls("CERT_HAS_EXPIRED"), peer, /not valid today \(CERT_HAS_EXPIRED\)/, /renew.*clock/],
    [tls("CERT_NOT_YET_VALID"), peer, /not valid today/, /clock/],
    [tls("ERR_TLS_CERT_ALTNAME_INVALID"), peer, /for another name/, /server-name=/],
    [tls("ERR_SSL_WRONG_VERSION_NUMBER"), peer, /no TLS connection/, /no-tls=true/],
    [tls("ECONNRESET"), peer, /no TLS connection/, /no-tls=true/],
    [tls("NO_H2"), peer, /no HTTP\/2/, /proxy before/],
    [proxy(407), proxied, /proxy proxy.example:3128 asks for credentials/, /HTTPS_PROXY/],
    [proxy(502), proxied, /asked for reg.example:443, answered 502/, /NO_PROXY/],
    [proxy(null), proxied, /closed the connection/, /NO_PROXY/],
    [
      { details: `${none}connect ECONNREFUSED 127.0.0.1:1` },
      peer,
      /no connection to reg.example:443 \(ECONNREFUSED\)/,
      null,
    ],
    [
      { details: `${none}connect ECONNREFUSED x` },
      proxied,
      /by the proxy proxy.example:3128\) \(ECONNREFUSED\)/,
      null,
    ],
    [
      { details: "Name resolution failed for target dns:x" },
      peer,
      /name reg.example can't be resolved/,
      /DNS/,
    ],
    [{ details: "Name resolution failed for target dns:x" }, proxied, /name proxy.example can't/, /DNS/],
    [{ details: `${none}Protocol error (2026)` }, peer, /does not speak gRPC/, /port/],
    [{ details: `${none}Failed to connect (2026)` }, plain, /does not speak gRPC/, /leave out no-tls/],
    [{ details: "Connection dropped" }, peer, /connection to reg.example:443 broke/, null],
    [{ status: status.INTERNAL, details: "Received RST_STREAM with code 2" }, peer, /broke/, null],
  ])("%j of %j", (failure, whom, message, hint) => {
    const error = callError({ ...broken, ...failure }, "ask", whom);
    expect(error.message).toMatch(message);
    expect(error.message).toStartWith("ask: ");
    if (hint === null) expect(error.hint).toBeUndefined();
    else expect(error.hint).toMatch(hint);
    const unauthorized = failure.dial?.kind === "proxy" && failure.dial.status === 407;
    expect(error.code).toBe(unauthorized ? "unauthorized" : "network-unreachable");
  });
});

describe("the time a server asks for", () => {
  const retryInfo = anyPack(
    RetryInfoSchema,
    create(RetryInfoSchema, { retryDelay: { seconds: 3n, nanos: 500_000_000 } }),
  );
  const other = anyPack(EmptySchema, create(EmptySchema));
  const statusDetails = toBinary(
    StatusSchema,
    create(StatusSchema, { code: 8, details: [other, retryInfo] }),
  );
  const none = { pushback: undefined, retryAfter: undefined, statusDetails: undefined };
  test.each<[string, Partial<Parameters<typeof waitMs>[0]>, number | null]>([
    ["none", {}, null],
    ["a pushback", { pushback: "1500" }, 1500],
    ["a negative pushback", { pushback: "-1" }, null],
    ["seconds", { retryAfter: "7" }, 7000],
    ["a date, which gateways don't send here", { retryAfter: "Sat, 21 Nov 2026 16:05:11 GMT" }, null],
    ["RetryInfo", { statusDetails }, 3500],
    [
      "RetryInfo without a delay",
      { statusDetails: toBinary(StatusSchema, create(StatusSchema, { details: [other] })) },
      null,
    ],
    ["garbage", { statusDetails: Buffer.from("0aff", "hex") }, null],
    ["the longest of several", { pushback: "100", retryAfter: "9", statusDetails }, 9000],
  ])("%s", (_, trailers, expected) => {
    expect(waitMs({ ...none, ...trailers })).toBe(expected);
  });
});

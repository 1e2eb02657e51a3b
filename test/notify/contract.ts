import { describe, expect, test } from "bun:test";
import { DewyError } from "../../src/errors.ts";
import { messageOf } from "../../src/notify/message.ts";
import { MessageRefused, type Notifier } from "../../src/notify/notifier.ts";
import type { Call } from "../../src/util/async.ts";
import { events, failedHook, noticeOf } from "../support/notices.ts";
import { until } from "../support/until.ts";

/**
 * How the service fails from now on. `limited`: it asks for patience (429, 4xx of SMTP). `broken`: it is in trouble
 * (500, a connection that breaks). `refused`: it does not take our credentials. `hang`: it never answers.
 */
export type ServiceFailure = "limited" | "broken" | "refused" | "hang";

/** One notifier and its service, for one test. Its disposal closes both; the test may have closed the notifier. */
export interface NotifierFixture extends AsyncDisposable {
  readonly notifier: Notifier;
  /** What the service took, oldest first: each a text that people (or their programs) can read, decoded. */
  received(): Promise<readonly string[]>;
  fail(how: ServiceFailure): void;
  /** It works again. */
  heal(): void;
  /** Part of the credentials that the notifier was given. */
  readonly secret: string;
}

export interface NotifierTraits {
  /** Why the service can't say how long it is to be left alone. */
  readonly namesNoTime?: string;
  /** How the text of an event is found in what the service received; as it is, unless the mark-up changes it. */
  readonly plain?: (received: string) => string;
  /** What the hint of a refusal names: the variable or parameter to put right. */
  readonly remedy: RegExp;
}

const forEver: Call = { signal: new AbortController().signal };

/** What every kind of notifier must do. */
export function notifierContract(
  name: string,
  open: () => Promise<NotifierFixture>,
  traits: NotifierTraits,
): void {
  describe(`${name}: a notice`, () => {
    test.each([...events, failedHook].map((event) => [event.kind, event] as const))(
      "of kind %s is delivered with its text",
      async (_, event) => {
        await using fixture = await open();
        await fixture.notifier.notify(noticeOf(event), forEver);
        const received = await fixture.received();
        expect(received).toHaveLength(1);
        expect(plainOf(received[0] ?? "", traits)).toContain(messageOf(event));
        expect(received[0]).not.toContain(fixture.secret);
      },
    );

    test("after another is delivered after it", async () => {
      await using fixture = await open();
      const tags = ["v1.0.0", "v1.0.1", "v1.0.2"];
      for (const tag of tags) {
        await fixture.notifier.notify(noticeOf({ kind: "downloaded", tag }), forEver);
      }
      const received = await fixture.received();
      expect(received).toHaveLength(tags.length);
      tags.forEach((tag, index) => {
        expect(plainOf(received[index] ?? "", traits)).toContain(`Downloaded artifact for ${tag}`);
      });
    });

    test("says where it happened", async () => {
      await using fixture = await open();
      await fixture.notifier.notify(noticeOf({ kind: "deploying", tag: "v1", command: "server" }), forEver);
      expect((await fixture.received())[0]).toContain("web1");
    });

    test("with signs that mean something to the service arrives as it is", async () => {
      await using fixture = await open();
      const message = `<b>"it" & 'that'</b> <!channel> *no* \\ % ü €`;
      const event = { kind: "failed", tag: null, message, hint: null, servingTag: null } as const;
      await fixture.notifier.notify(noticeOf(event), forEver);
      expect(plainOf((await fixture.received())[0] ?? "", traits)).toContain(message);
    });

    test("with hook output of 64 KiB is delivered", async () => {
      await using fixture = await open();
      const result = { ...failedHook.result, stdout: "x".repeat(65_536), stderr: "y".repeat(65_536) };
      await fixture.notifier.notify(noticeOf({ ...failedHook, result }), forEver);
      const received = await fixture.received();
      expect(plainOf(received[0] ?? "", traits)).toContain(messageOf(failedHook));
    });
  });

  describe(`${name}: a service`, () => {
    test.each(["limited", "broken"] as const)("that is %s may take the notice later", async (how) => {
      await using fixture = await open();
      fixture.fail(how);
      const notice = noticeOf({ kind: "downloaded", tag: "v1.2.3" });
      const failure = await failureOf(fixture, notice);
      expect(failure.retryable).toBe(true);
      if (how === "limited" && traits.namesNoTime === undefined) {
        expect(failure.retryAfterMs).toBeGreaterThan(0);
      }
      expect(everythingOf(failure)).not.toContain(fixture.secret);
      fixture.heal();
      // A governor of the notifier may still be waiting for the time that was named: the notice is not lost for that.
      await until("the notice is taken", async () => {
        try {
          await fixture.notifier.notify(notice, forEver);
          return true;
        } catch (error) {
          expect(error).toMatchObject({ retryable: true });
          return false;
        }
      });
      expect(await fixture.received()).toHaveLength(1);
    });

    test("that takes no such credentials takes the notice when that is put right: the remedy is named", async () => {
      await using fixture = await open();
      fixture.fail("refused");
      const failure = await failureOf(fixture, noticeOf({ kind: "downloaded", tag: "v1.2.3" }));
      expect(failure.retryable).toBe(false);
      expect(failure).not.toBeInstanceOf(MessageRefused);
      expect(failure.hint).toMatch(traits.remedy);
      expect(everythingOf(failure)).not.toContain(fixture.secret);
      expect(await fixture.received()).toEqual([]);
      fixture.heal();
      await fixture.notifier.notify(noticeOf({ kind: "downloaded", tag: "v1.2.3" }), forEver);
      expect(await fixture.received()).toHaveLength(1);
    });

    test("that hangs is left when the caller's time is up", async () => {
      await using fixture = await open();
      fixture.fail("hang");
      const signal = AbortSignal.timeout(300);
      const sending = fixture.notifier.notify(noticeOf({ kind: "downloaded", tag: "v1.2.3" }), { signal });
      await expect(sending).rejects.toBeDefined();
      expect(signal.aborted).toBe(true);
      fixture.heal();
      // Some leave a silent service alone for a moment.
      const next = noticeOf({ kind: "downloaded", tag: "v1.2.4" });
      const taken = () => fixture.notifier.notify(next, forEver).then(() => true, isLater);
      await until("the next notice is taken", taken);
      const received = await fixture.received();
      expect(plainOf(received.at(-1) ?? "", traits)).toContain("Downloaded artifact for v1.2.4");
    });
  });

  describe(`${name}: a call`, () => {
    test("that has ended before it begins sends nothing", async () => {
      await using fixture = await open();
      const reason = new DewyError("stopped", "stop");
      const sending = fixture.notifier.notify(noticeOf({ kind: "downloaded", tag: "v1" }), {
        signal: AbortSignal.abort(reason),
      });
      await expect(sending).rejects.toBe(reason);
      expect(await fixture.received()).toEqual([]);
    });

    test("that ends on the way rejects with its reason", async () => {
      await using fixture = await open();
      fixture.fail("hang");
      const stop = new AbortController();
      const reason = new DewyError("stopped", "stop");
      const sending = fixture.notifier.notify(noticeOf({ kind: "downloaded", tag: "v1" }), stop);
      setTimeout(() => stop.abort(reason), 50);
      await expect(sending).rejects.toBe(reason);
    });
  });

  describe(`${name}: closing`, () => {
    test("waits for nothing, whether it was used or not, once or twice", async () => {
      await using fixture = await open();
      await using other = await open();
      await fixture.notifier[Symbol.asyncDispose]();
      await other.notifier.notify(noticeOf({ kind: "downloaded", tag: "v1" }), forEver);
      await other.notifier[Symbol.asyncDispose]();
      await other.notifier[Symbol.asyncDispose]();
      expect(await other.received()).toHaveLength(1);
    });

    test("does not wait for a service that hangs", async () => {
      await using fixture = await open();
      fixture.fail("hang");
      const stop = new AbortController();
      const sending = fixture.notifier.notify(noticeOf({ kind: "downloaded", tag: "v1" }), stop);
      const ended = sending.catch(() => undefined);
      await fixture.notifier[Symbol.asyncDispose]();
      stop.abort(new DewyError("stopped", "stop"));
      await ended;
    });

    test("its name holds no secret", async () => {
      await using fixture = await open();
      expect(fixture.notifier.name).toMatch(/^[a-z+]+:\/\//);
      expect(fixture.notifier.name).not.toContain(fixture.secret);
    });
  });
}

function plainOf(received: string, { plain = (text) => text }: NotifierTraits): string {
  return plain(received);
}

async function failureOf(
  { notifier }: NotifierFixture,
  notice: Parameters<Notifier["notify"]>[0],
): Promise<DewyError> {
  const failure = await notifier.notify(notice, forEver).then(
    () => null,
    (error: unknown) => error,
  );
  if (failure instanceof DewyError) return failure;
  throw new Error(`not a DewyError: ${failure}`);
}

/** All that could get into a log: message, hint, causes and their fields. */
function everythingOf(failure: DewyError): string {
  return Bun.inspect(failure, { depth: 10 });
}

/** false: it may pass later. */
function isLater(error: unknown): false {
  if (error instanceof DewyError && error.code === "rate-limited") return false;
  throw error;
}

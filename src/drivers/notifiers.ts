import { type Notifier, nullNotifier } from "../notify/notifier.ts";
import { type DriverDeps, type Drivers, driverOf } from "./driver.ts";

type NotifierDriver = (url: URL) => (deps: DriverDeps) => Notifier;

export const notifiers: Drivers<NotifierDriver> = {};

export async function readNotifier(url: string) {
  const driver = await driverOf("--notifier", notifiers, url);
  return driver(new URL(url));
}

/** One notifier that tells all of them; one that fails keeps nothing from the others. */
export async function openNotifiers(urls: readonly string[], deps: DriverDeps): Promise<Notifier> {
  const opened = await Promise.all(urls.map(async (url) => (await readNotifier(url))(deps)));
  const [only = nullNotifier] = opened;
  if (opened.length <= 1) return only;
  return {
    async notify(event, c) {
      const results = await Promise.allSettled(opened.map((notifier) => notifier.notify(event, c)));
      const failures = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
      if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join("; "));
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(opened.map((notifier) => notifier[Symbol.asyncDispose]()));
    },
  };
}

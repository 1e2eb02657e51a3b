import { DewyError } from "../errors.ts";
import { type CursorKeys, cursorKeys } from "../notify/cursor-keys.ts";
import { type Filter, filterOf, filterParams } from "../notify/filter.ts";
import type { Notifier } from "../notify/notifier.ts";
import { readQueries } from "../util/query.ts";
import { type DriverDeps, type Drivers, driverOf, type Environment } from "./driver.ts";

/** A notifier's URL, read. */
export interface ReadNotifier {
  readonly filter: Filter;
  open(deps: DriverDeps): Promise<Notifier>;
}

export interface NotifierDriver {
  /** Touches nothing; `config-invalid` for anything wrong. */
  read(url: URL, env: Environment): ReadNotifier;
}

/** A notifier in use, with what the outbox needs to know of it. */
export interface OpenedNotifier extends CursorKeys {
  readonly wants: Filter;
  readonly notifier: Notifier;
}

const slack = async (): Promise<NotifierDriver> => {
  const { readSlackUrl, slackParams, slackUrl } = await import("../notify/slack/url.ts");
  return {
    read(given, env) {
      const url = slackUrl(given);
      const [query, filter] = readQueries(url, slackParams, filterParams);
      const options = readSlackUrl(url, query, env);
      return {
        filter: filterOf(filter),
        open: async (deps) => (await import("../notify/slack/notifier.ts")).openSlack(options, deps),
      };
    },
  };
};

const mail = async (): Promise<NotifierDriver> => {
  const { mailParams, mailUrl, readMailUrl } = await import("../notify/mail/url.ts");
  return {
    read(given, env) {
      const url = mailUrl(given);
      const [query, filter] = readQueries(url, mailParams, filterParams);
      const options = readMailUrl(url, query, env);
      return {
        filter: filterOf(filter),
        open: async (deps) => (await import("../notify/mail/notifier.ts")).openMail(options, deps),
      };
    },
  };
};

const webhook = async (): Promise<NotifierDriver> => {
  const { readWebhookUrl, splitWebhookUrl, webhookParams } = await import("../notify/webhook/url.ts");
  return {
    read(url, env) {
      const split = splitWebhookUrl(url);
      const [query, filter] = readQueries(split.settings, webhookParams, filterParams);
      const options = readWebhookUrl(split, query, env);
      return {
        filter: filterOf(filter),
        open: async (deps) => (await import("../notify/webhook/notifier.ts")).openWebhook(options, deps),
      };
    },
  };
};

export const notifiers: Drivers<NotifierDriver> = {
  slack,
  smtp: mail,
  smtps: mail,
  mail,
  "webhook+https": webhook,
  "webhook+http": webhook,
};

/** `config-invalid` for a URL that no driver takes. */
export async function readNotifier(url: string, env: Environment): Promise<ReadNotifier> {
  const driver = await driverOf("--notifier", notifiers, url);
  return driver.read(new URL(url), env);
}

/** All of them, each closed by `open`'s disposal unless it was given to a sender that does. */
export async function openNotifiers(
  urls: readonly string[],
  deps: DriverDeps,
): Promise<readonly OpenedNotifier[]> {
  if (new Set(urls).size < urls.length) {
    throw new DewyError("config-invalid", "--notifier names the same URL twice", {
      hint: "leave one of them out",
    });
  }
  const opened = await Promise.all(
    urls.map(async (url) => {
      const { filter, open } = await readNotifier(url, deps.env);
      const notifier = await open(deps);
      return { wants: filter, notifier, named: { url, identity: notifier.identity } };
    }),
  );
  const all = opened.map(({ named }) => named);
  return opened.map(({ named, ...rest }) => ({ ...rest, ...cursorKeys(named, all) }));
}

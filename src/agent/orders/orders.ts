import { DewyError, toDewyError } from "../../errors.ts";
import { records } from "../../events.ts";
import type { Registry } from "../../registry/registry.ts";
import type { Release } from "../../release/release.ts";
import { unreachable } from "../../util/assert.ts";
import { type Call, withDeadline } from "../../util/async.ts";
import { heldByOperator, leftBehind, leftByDeploy } from "../back/hold.ts";
import { keptOf, lastGood } from "../back/kept.ts";
import { retry } from "../back/retry.ts";
import { type Errand, findRelease, keptErrand, publishedErrand } from "../deploy/errand.ts";
import { type Rollout, type RolloutDeps, whatOf } from "../deploy/rollout.ts";
import type { LiveSettings } from "../live.ts";
import type { Hold, Order, OrderProgress, OrderResult } from "./operations.ts";
import type { Asker } from "./turns.ts";

export interface OrderDeps extends RolloutDeps {
  readonly registry: Registry;
  /** The configuration anew; null: there is none to be read again. */
  readonly reload: (() => Promise<LiveSettings>) | null;
  /** The next check is due at once. */
  readonly wake: () => void;
}

type Held = Extract<Order, { kind: "hold" }>;

const latestDeadlineMs = 60_000;

/** What an operator orders. What only changes the state is done at once, the rest in turn. */
export class Orders {
  constructor(
    private readonly deps: OrderDeps,
    private readonly rollout: Rollout,
  ) {}

  /** `life`: the agent's, by which whatever has begun ends. */
  async carryOut(
    order: Order,
    onProgress: (progress: OrderProgress) => void,
    life: Call,
    c: Call,
  ): Promise<OrderResult> {
    const { turns } = this.deps;
    const asker = askerOf(onProgress, c);
    switch (order.kind) {
      case "hold":
        return { message: this.#hold(order) };
      case "resume":
        return { message: this.#resume() };
      case "retry":
        return { message: this.#retry() };
      case "deploy":
        return turns.take(
          whatOf({ tag: order.tag, cause: "deploy" }),
          () => this.#deploy(order.tag, life),
          asker,
        );
      case "rollback": {
        const seen = this.deps.state.state.current?.release ?? null;
        return turns.take(
          `a rollback${order.tag === null ? "" : ` to ${order.tag}`}`,
          () => this.#rollback(order.tag, seen, life),
          asker,
        );
      }
      case "restart":
        return turns.take("a restart of the app", () => this.#restart(life), asker);
      case "reload":
        return turns.take("a reload of the configuration", () => this.#reload(), asker);
      default:
        return unreachable(order);
    }
  }

  #hold({ until, reason }: Held): string {
    const { state, clock, log } = this.deps;
    const now = clock.now();
    if (until !== null && until <= now) {
      throw new DewyError("config-invalid", "a hold can't end in the past", { hint: "name a later time" });
    }
    const hold = { since: now.toISOString(), until: until?.toISOString() ?? null, reason, left: null };
    state.update(heldByOperator(state.state, hold));
    log.info(records.held, { until: hold.until ?? undefined, reason: reason ?? undefined });
    const running = state.state.current?.tag ?? null;
    return `Held${running === null ? "" : ` at ${running}`} ${endOf(hold)}${this.#underWay()}`;
  }

  #resume(): string {
    const { state, log, wake } = this.deps;
    const { hold } = state.state;
    if (hold === null) return "Nothing is held";
    state.update({ hold: null, holdBelow: null });
    log.info(records.holdEnded, { left: hold.left ?? undefined });
    wake();
    return `Resumed${this.#underWay()}`;
  }

  #retry(): string {
    const tags = retry(this.deps);
    this.deps.wake();
    const lifted = tags.length === 0 ? "Nothing was quarantined" : `Quarantine lifted: ${tags.join(", ")}`;
    return `${lifted}; the next check comes now${this.#underWay()}`;
  }

  #underWay(): string {
    const busy = this.deps.turns.current?.with ?? null;
    // A check that has found nothing is over before anybody reads this.
    return busy === null || busy === "a check" ? "" : `. What is under way goes on: ${busy}`;
  }

  async #deploy(tag: string, c: Call): Promise<OrderResult> {
    const { registry, delivery, state, order } = this.deps;
    const release = await findRelease(tag, registry, c);
    const { current } = state.state;
    const isThere = current?.tag === tag && delivery.isIntact(current);
    if (isThere && (release.moving !== true || release.artifact.digest === current.digest)) {
      return { message: `${tag} runs already` };
    }
    const left = leftByDeploy(release, await this.#newest(release, c), order);
    return this.#roll(publishedErrand(release, delivery, { cause: "deploy", left }), c);
  }

  /** Where it can't be told, what an operator deploys is held against the release that runs. */
  async #newest(release: Release, c: Call): Promise<Release | null> {
    const { registry, log, state } = this.deps;
    try {
      return (await registry.latest(withDeadline(c, latestDeadlineMs))).release;
    } catch (error) {
      c.signal.throwIfAborted();
      log.warn("The newest release could not be asked for", { error: toDewyError(error, "check").message });
      const tag = state.state.current?.tag ?? release.tag;
      return { tag, createdAt: null, artifact: null, files: [] };
    }
  }

  /** `seen`: what ran when it was ordered. */
  async #rollback(tag: string | null, seen: string | null, c: Call): Promise<OrderResult> {
    const { current, origin } = this.deps.state.state;
    const isBack = origin === "rollback" || origin === "retreat";
    // Whoever wants to leave a release that fails must not leave the good one that has replaced it by now.
    if (tag === null && current !== null && current.release !== seen && isBack) {
      throw new DewyError("config-invalid", `${current.tag} runs already: it was gone back to meanwhile`, {
        hint: "`dewy rollback TAG` goes further",
      });
    }
    return this.#roll(await this.#wayBack(tag, c), c);
  }

  async #wayBack(tag: string | null, c: Call): Promise<Errand> {
    const { state, order, delivery, registry } = this.deps;
    const { current } = state.state;
    const why = { cause: "rollback", left: leftBehind(state.state, order) } as const;
    const placed = tag === null ? lastGood(state.state) : keptOf(tag, state.state);
    if (placed === null && tag === null) {
      throw new DewyError("config-invalid", "no earlier release is kept on this host", {
        hint: "name one of the registry: `dewy rollback TAG`",
      });
    }
    if (placed !== null && placed.release === current?.release) {
      throw new DewyError("config-invalid", `${placed.tag} runs already`, {
        hint: "`dewy history` lists what was deployed here",
      });
    }
    if (placed !== null) return keptErrand(placed, { delivery, registry, state: state.state }, why);
    const release = await findRelease(tag ?? "", registry, c);
    // Nothing runs yet: what is chosen is held as by a deploy.
    const left = why.left ?? leftByDeploy(release, await this.#newest(release, c), order);
    return publishedErrand(release, delivery, { ...why, left });
  }

  async #roll(errand: Errand, c: Call): Promise<OrderResult> {
    const { state, log } = this.deps;
    const from = state.state.current?.tag ?? null;
    log.info("Ordered by an operator", { order: errand.cause, tag: errand.tag, from: from ?? undefined });
    const outcome = await this.rollout.run(errand, c);
    // The next check tells what is waiting now.
    this.deps.wake();
    if (outcome.kind === "failed") throw outcome.failure;
    const { hold } = state.state;
    const did = errand.cause === "rollback" ? "Rolled back" : "Deployed";
    const way = from === null ? `: ${errand.tag}` : `: ${from} → ${errand.tag}`;
    const newer = hold?.left == null ? "" : ` or a release newer than ${hold.left} comes`;
    return { message: `${did}${way}${hold === null ? "" : `. Held there ${endOf(hold)}${newer}`}` };
  }

  async #restart(c: Call): Promise<OrderResult> {
    const { delivery, state, log } = this.deps;
    const { current } = state.state;
    if (current === null) {
      throw new DewyError("config-invalid", "nothing is deployed here yet", {
        hint: "`dewy check` tells what would be, and why it is not yet",
      });
    }
    log.info("Restart requested");
    await delivery.restart(c);
    return { message: `Restarted ${current.tag}` };
  }

  async #reload(): Promise<OrderResult> {
    const { reload, live, log, wake } = this.deps;
    if (reload === null) {
      throw new DewyError("config-invalid", "this agent was started without a configuration file", {
        hint: "write dewy.toml, or name a file with --config, and start the agent again",
      });
    }
    live.change(await reload());
    log.info("Configuration reloaded");
    wake();
    return { message: "The configuration was read again" };
  }
}

function endOf({ until }: Pick<Hold, "until">): string {
  return until === null ? "until `dewy resume`" : `until ${until}`;
}

/** Whoever can't be told any more must not be in the way of what they ordered. */
function askerOf(onProgress: (progress: OrderProgress) => void, c: Call): Asker {
  const tell = (progress: OrderProgress): void => {
    try {
      onProgress(progress);
    } catch {
      // gone
    }
  };
  return {
    c,
    onWaiting: (what) => tell({ kind: "waiting", for: what }),
    onStep: (step) => tell({ kind: "step", step }),
    onReceived: (bytes, totalBytes) => tell({ kind: "received", bytes, totalBytes }),
  };
}

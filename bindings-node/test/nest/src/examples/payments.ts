// A payment service: two providers, then a queue. No order is lost, and none is paid twice.
//
// What decides is whether a provider can have taken the money. It has not where the circuit refused the call, where
// nothing listens, or where it answered that it did not: then the other provider is asked. A timeout or a lost
// connection tells nothing: then only the same provider may be asked again, under the same Idempotency-Key.
import {
  Body,
  Controller,
  HttpCode,
  HttpStatus,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  Post,
  Res,
} from '@nestjs/common';
import {
  BoundedQueue,
  CircuitBreaker,
  CircuitOpenError,
  Classifier,
  QueueClosedError,
  RetryBudget,
  RetryPolicy,
} from 'tidegate';
import { type GuardedFetch, guardedFetch } from 'tidegate/fetch';
import { InjectBoundedQueue, InjectBreaker } from 'tidegate/nest';

export interface Order {
  id: string;
  cents: number;
}
/** An order that waits, and the provider that may have taken its money. */
export interface Waiting extends Order {
  asked?: Provider;
}
export const PROVIDERS = Symbol('the addresses of the providers');

/** `nothing`: it has surely taken nothing. */
type Outcome = 'paid' | 'nothing' | 'unknown';

export class Provider {
  readonly #fetch: GuardedFetch;

  constructor(
    readonly name: string,
    private readonly url: string,
    readonly breaker: CircuitBreaker,
  ) {
    this.#fetch = guardedFetch({ breaker });
  }

  /** One attempt: so what it says of itself is true of all that was sent. */
  async charge({ id, cents }: Order): Promise<Outcome> {
    try {
      const answer = await this.#fetch(`${this.url}/charges`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': id },
        body: JSON.stringify({ cents }),
        signal: AbortSignal.timeout(1000),
      });
      await answer.text();
      // 503 is these providers' promise that they did nothing; another 5xx is no such promise.
      if (answer.ok) return 'paid';
      return answer.status === 503 || answer.status < 500 ? 'nothing' : 'unknown';
    } catch (error: any) {
      const isUnsent = error instanceof CircuitOpenError || error.cause?.code === 'ECONNREFUSED';
      return isUnsent ? 'nothing' : 'unknown';
    }
  }
}

@Injectable()
export class Payments implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #providers: Provider[];
  readonly #retry = new RetryPolicy({
    attempts: 3,
    baseMs: 5,
    maxDelayMs: 50,
    budget: new RetryBudget(),
    retryOn: new Classifier({ failureResult: (outcome: Outcome) => outcome === 'unknown' }),
  });
  #worker = Promise.resolve();

  constructor(
    @Inject(PROVIDERS) [first, second]: [string, string],
    @InjectBreaker('first') firstBreaker: CircuitBreaker,
    @InjectBreaker('second') secondBreaker: CircuitBreaker,
    @InjectBoundedQueue('waiting') readonly waiting: BoundedQueue<Waiting>,
  ) {
    this.#providers = [new Provider('first', first, firstBreaker), new Provider('second', second, secondBreaker)];
  }

  /** The name of the provider that was paid; undefined: the order waits, and will be paid. */
  async pay(order: Order): Promise<string | undefined> {
    const waiting: Waiting = { ...order };
    const paid = await this.#try(waiting);
    // Waits for room rather than give an order up whose money may be taken.
    if (paid === undefined) await this.waiting.push(waiting);
    return paid;
  }

  async #try(order: Waiting): Promise<string | undefined> {
    for (const provider of order.asked === undefined ? this.#providers : [order.asked]) {
      if ((await this.#retry.call(() => this.#charge(order, provider))) === 'paid') return provider.name;
      if (order.asked !== undefined) return undefined;
    }
    return undefined;
  }

  /** Once it is unknown whether a provider has taken the money, only its "paid" ends that. */
  async #charge(order: Waiting, provider: Provider): Promise<Outcome> {
    const outcome = await provider.charge(order);
    if (outcome === 'unknown') order.asked = provider;
    return outcome === 'nothing' && order.asked === provider ? 'unknown' : outcome;
  }

  onApplicationBootstrap() {
    this.#worker = this.#work();
  }

  async #work() {
    for (;;) {
      let order: Waiting;
      try {
        order = await this.waiting.pop();
      } catch (error) {
        if (error instanceof QueueClosedError) return;
        throw error;
      }
      while ((await this.#try(order)) === undefined) {
        const waits = this.#providers.map(({ breaker }) => breaker.retryAfterMs);
        await new Promise((resolve) => setTimeout(resolve, Math.min(...waits, 1000) + 10));
      }
    }
  }

  /** What waits is paid before the service ends. */
  async onModuleDestroy() {
    this.waiting.close();
    await this.#worker;
  }
}

@Controller('payments')
export class PaymentsController {
  constructor(@Inject(Payments) private readonly payments: Payments) {}

  @Post()
  @HttpCode(HttpStatus.OK)
  async pay(@Body() order: Order, @Res({ passthrough: true }) response: any) {
    const by = await this.payments.pay(order);
    if (by === undefined) response.status(HttpStatus.ACCEPTED);
    return by === undefined ? { status: 'accepted' } : { status: 'paid', by };
  }
}

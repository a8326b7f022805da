import { BadRequestException, Body, Controller, Post } from '@nestjs/common';
import { Fault } from './fault';
import { Store } from './store';

@Controller('payments')
export class PaymentsController {
  constructor(
    private readonly store: Store,
    private readonly fault: Fault,
  ) {}

  @Post()
  async pay(@Body() order: { id?: unknown; cents?: unknown }) {
    if (typeof order?.id !== 'string' || typeof order.cents !== 'number') {
      throw new BadRequestException('id: string and cents: number are needed');
    }
    this.fault.check();
    await this.store.pay(order.id, order.cents);
    // Broken between commit and answer: the caller sees a 500 for an order that is paid, and will retry it.
    this.fault.check();
    return { id: order.id, paid: true };
  }
}

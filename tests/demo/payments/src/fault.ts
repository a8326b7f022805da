import { Injectable, InternalServerErrorException } from '@nestjs/common';

/** The switch with which the demo breaks and heals this service. */
@Injectable()
export class Fault {
  on = false;

  check(): void {
    if (this.on) throw new InternalServerErrorException('the payment provider is down');
  }
}

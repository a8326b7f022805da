import { Module } from '@nestjs/common';
import { ControlController } from './control.controller';
import { Fault } from './fault';
import { PaymentsController } from './payments.controller';
import { Store } from './store';

@Module({
  controllers: [PaymentsController, ControlController],
  providers: [Store, Fault],
})
export class AppModule {}

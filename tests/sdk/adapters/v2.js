'use strict';
// imlib-v2: callbacks, one client per process.
module.exports = ({ load, navi, appKey, report }) => {
  const sdk = load('@rongcloud/imlib-v2');
  const Client = sdk.RongIMClient;
  const STATES = { 0: 'connected', 6: 'kicked' };
  const seen = m => ({ uid: m.messageUId, time: m.sentTime, type: m.conversationType, target: m.targetId, from: m.senderUserId, mine: m.messageDirection === 1, text: m.content?.content });
  const called = begin => new Promise((resolve, reject) => begin({ onBefore() {}, onSuccess: (...values) => resolve(values), onError: code => reject(new Error(`code ${code}`)), onTokenIncorrect: () => reject(new Error('token incorrect')) }));

  Client.init(appKey, null, { navi, logLevel: 4 });
  Client.setConnectionStatusListener({ onChanged: state => { if (STATES[state]) report.state(STATES[state]); } });
  Client.setOnReceiveMessageListener({ onReceived: message => report.shown(seen(message)) });
  const im = () => Client.getInstance();

  return {
    connect: async ({ token }) => (await called(callbacks => Client.connect(token, callbacks)))[0],
    disconnect: () => { im().disconnect(); },
    send: async ({ type, target, text }) => {
      const values = await called(callbacks => im().sendMessage(type, target, new sdk.TextMessage({ content: text }), callbacks));
      const sent = values.find(value => value?.messageUId);
      return { uid: sent.messageUId, time: sent.sentTime };
    },
    history: async ({ type, target, count }) => (await called(callbacks => im().getHistoryMessages(type, target, 0, count, callbacks)))[0].map(seen).sort((a, b) => b.time - a.time),
  };
};

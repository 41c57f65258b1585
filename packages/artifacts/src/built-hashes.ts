/**
 * SHA-256 of what the pinned Go toolchain makes of each recipe for amd64, artifact → file. Found by building twice, with
 * cold and with warm caches; `npm test` builds one of them again.
 */
export const builtSha256: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'cni-plugins-1.9.1': {
    bridge: 'eb46edb0c6e82df7ccec7ef8784f3b5d6810567660abc9081bc110e93023ff2c',
    loopback: '4d2b493a3fc5b8b46f4f0bbcf2d35a876d9e104d71ca8bae814393400a52928f',
    ptp: '839318e4967d939eca3f272917ea9273c7f41832f94729d0fcbc6b22b0c411b7',
    'host-local': 'bb6f9f6cb156aeebec3b9b99cead58ebb77dfb91a3a7cf9bf9b29b3e806a2d8f',
    portmap: '82f1f5df9e1ae7bd02d6bdf2f88bcfbea22d5697a5e7b21f9246f775d81500da',
    bandwidth: '475cdd50cb75bc559444537b083c5094df00d591d20a1b435891f4eaed9c9e0d',
    firewall: '0d638154482eaa9bd22e1e0909a45e5e2e40c4f21feff129b73ba2a8c3f852a7',
    tuning: '6676c532bd7bb3cfd502bf33218312a025a724bde264ad4e69dfd586bb1d1ffc',
  },
  'cni-front-1.0.0': {
    rancher: '87ffef63420414ed2725caf5ef6145ec188449c3f4c626445f310651cb5a8fa5',
  },
  'etcd-3.7.3': {
    etcd: '1eda769fcc77aec055f61e92036558ce4dbdf3f96bd9a82775aea8ce8757e819',
    etcdctl: 'c4ac30b6476fa8a6fa607df9a6328ad53a3127575e34d40d8d1aacd91729ab49',
    etcdutl: '3008a60dbcc6679e9322470212eb024edc04ade861dcded6ac4cd59a0b56f434',
  },
  'containerd-2.3.7': {
    containerd: '98b1495b8bf93c16dca34743b5f2787a905336e3c7708fcbe099a50c8b39bd92',
    'containerd-shim-runc-v2': '6fbb4809cbfc6e26044bd72716e61e866d6322cb52a2d3488e809152c9c5cf2e',
    ctr: '8cfbadd215be494ab496df43475a1e688d673f38686a1c309272874eab7e8ee1',
  },
  'coredns-1.15.0': {
    coredns: '9c593c3e63c0d87574b9696598e5a9ac7f92ba1fee42767aebdb3c2bac577ae5',
  },
  'kubernetes-1.36.3': {
    'kube-apiserver': 'c583e59caff998f513c592357ad1b5c431ed2e9d9157e76418bf9849951b6326',
    'kube-controller-manager': 'da9fdff77592fdf495fdb17773331e8bb680f094e24117b674942ef2b3193721',
    'kube-scheduler': '09215c0902b957f9ee1cec23e1fe0f493a5826fd44602b336d171d666a64f34c',
    kubelet: 'd1063c148f7b57adccc1add6aaf1f11aad0c2b2f108e301e684111554b01710e',
    'kube-proxy': '8011668a1561541644069d24e823a96c6d5777b04a639c767ab227d4c65639d5',
    kubectl: '369bdfc0937c734f1cac59bd78513c0302ca41d75b2dabe715c1a94f241a61dc',
  },
  'kubernetes-1.37.2': {
    'kube-apiserver': '3f4cefe2a7121f2801759e7daa7092df2ea35e8ce196346a2b3032c7b032af14',
    'kube-controller-manager': 'b2d6b293666cdb2e9fcbe8a8d41c3813ab0d8621dea5a065fb3ced4d913bd1c8',
    'kube-scheduler': '4a1c94fd072801af87a16f5198a04075d50a0e57780ef035fc4467109ea3cf7a',
    kubelet: '975ab04a0c2a1b32766ae8a05e731d80e90d79764a0f75cf051f5f955b741580',
    'kube-proxy': '879b843f1e8d1a5e0da6286bc8a1506bd32679c75202acf0d1221b3febed93ee',
    kubectl: '3fbca6cc2b672c82c1511945e6f16da41e4d065455002f5fa963c5c1fa1cbd2a',
  },
};
